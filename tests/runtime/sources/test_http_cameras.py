"""HTTP cameras that are not as the standards have it: other types, no types, heads that never end."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from edgevit.errors import SourceLostError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from tests.waiting import no_thread_left

Play = Callable[[socket.socket, bytes], None]
MakeCamera = Callable[..., str]
COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}
OK = b"HTTP/1.1 200 OK\r\n"


def jpeg(name: str, dot: int = 0) -> bytes:
    image = np.full((48, 64, 3), COLORS[name][::-1], np.uint8)
    image[8:16, 8:16] += np.uint8(dot)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


@pytest.fixture
def make_camera() -> Iterator[MakeCamera]:
    """Serve scenes on loopback, one for each connection, the last one for ever; return the address."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    opened: list[socket.socket] = []

    def serve(listener: socket.socket, scenes: tuple[Play, ...]) -> None:
        for number in range(10_000):
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            opened.append(connected)
            with contextlib.suppress(OSError), connected:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connected.recv(4096) or b"\r\n\r\n"
                scenes[min(number, len(scenes) - 1)](connected, request)

    def make(*scenes: Play) -> str:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threads.append(threading.Thread(target=serve, args=(listeners[-1], scenes)))
        threads[-1].start()
        return f"127.0.0.1:{listeners[-1].getsockname()[1]}"

    yield make
    for ended in (*listeners, *opened):
        with contextlib.suppress(OSError):
            ended.shutdown(socket.SHUT_RDWR)
        ended.close()
    for thread in threads:
        thread.join()


def send(*parts: bytes, hold: bool = False) -> Play:
    def play(connected: socket.socket, request: bytes) -> None:
        for part in parts:
            connected.sendall(part)
        if hold:
            connected.recv(1)

    return play


def drip(part: bytes, pause_s: float, head: bytes = b"") -> Play:
    """Return a scene that sends a few bytes again and again, never so late that a single read would notice."""

    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(head)
        for _ in range(100_000):
            connected.sendall(part)
            threading.Event().wait(pause_s)

    return play


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def part(name: str, dot: int) -> bytes:
    return b"--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: 999\r\n\r\n" + jpeg(name, dot) + b"\r\n"


@pytest.mark.parametrize(
    "kind", [b"", b"Content-Type: application/octet-stream\r\n", b"Content-Type: text/html\r\n", b"Content-Type: ;\r\n"]
)
def test_stream_is_known_by_its_bytes(classifier: Classifier, make_camera: MakeCamera, kind: bytes) -> None:
    """FFmpeg's own server sends its mpjpeg in chunks, and calls it application/octet-stream."""
    head = OK + kind + b"Transfer-Encoding: chunked\r\n\r\n"
    bodies = [chunked(part("green", dot)) for dot in range(2)]
    address = make_camera(send(head, *bodies, hold=True))
    assert next(classifier.stream(f"http://{address}/")).top1 == "green"


@pytest.mark.parametrize(
    "kind", [b"", b"Content-Type: application/octet-stream\r\n", b"Content-Type: multipart/x-mixed-replace\r\n"]
)
def test_snapshot_is_known_by_its_bytes(classifier: Classifier, make_camera: MakeCamera, kind: bytes) -> None:
    scenes = [
        send(OK + kind + f"Content-Length: {len(picture)}\r\n\r\n".encode() + picture)
        for picture in (jpeg("red"), jpeg("blue"))
    ]
    results = list(classifier.stream(f"http://{make_camera(*scenes)}/", max_frames=2))
    assert [result.top1 for result in results] == ["red", "blue"]


def test_picture_without_type_and_length_is_a_snapshot_if_the_answer_ends(
    classifier: Classifier, make_camera: MakeCamera
) -> None:
    address = make_camera(send(OK + b"\r\n" + jpeg("red")), send(OK + b"\r\n" + jpeg("blue")))
    results = list(classifier.stream(f"http://{address}/", max_frames=2))
    assert [result.top1 for result in results] == ["red", "blue"]


def test_pictures_without_type_and_parts_are_a_stream(classifier: Classifier, make_camera: MakeCamera) -> None:
    address = make_camera(send(OK + b"\r\n", *[jpeg("red", dot) for dot in range(9)], hold=True))
    assert next(classifier.stream(f"http://{address}/")).top1 == "red"


def test_png_without_a_type_is_a_snapshot(classifier: Classifier, make_camera: MakeCamera) -> None:
    data = cv2.imencode(".png", np.full((48, 64, 3), COLORS["blue"][::-1], np.uint8))[1].tobytes()
    address = make_camera(send(OK + b"\r\n" + data))
    assert next(classifier.stream(f"http://{address}/")).top1 == "blue"


def test_camera_that_asks_by_sha256_is_answered(classifier: Classifier, make_camera: MakeCamera) -> None:
    requests: list[bytes] = []
    asks = b'HTTP/1.1 401 Who\r\nWWW-Authenticate: Digest realm="c", nonce="n", qop="auth", algorithm=SHA-256\r\n\r\n'

    def answer(connected: socket.socket, request: bytes) -> None:
        requests.append(request)
        send(OK + b"\r\n" + jpeg("red"))(connected, request)

    address = make_camera(send(asks), answer)
    assert next(classifier.stream(f"http://farm:haystack@{address}/a?b=c")).top1 == "red"
    assert b"algorithm=SHA-256" in requests[0]
    assert b'uri="/a?b=c"' in requests[0]
    assert b"haystack" not in requests[0]


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (send(b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Negotiate\r\n\r\n"), "asks for Negotiate, expected Basic"),
        (send(b"HTTP/1.1 302 Go\r\nLocation: rtsp://10.0.0.2/x\r\n\r\n"), "on to rtsp://10.0.0.2/x, which is no HTTP"),
        (send(b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n"), "the server sends on and on, 6 times"),
        (send(OK + b"\r\n" + b"plain text, and no picture at all"), "sends something without a Content-Type, expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(
    classifier: Classifier, make_camera: MakeCamera, scene: Play, reason: str
) -> None:
    with pytest.raises(SourceLostError, match=reason) as caught:
        list(classifier.stream(f"http://farm:haystack@{make_camera(scene)}/", once=True, on_event=lambda event: None))
    assert "haystack" not in str(caught.value)
    assert "speak HTTP" not in str(caught.value)


def test_login_is_not_sent_on_to_another_host(classifier: Classifier, make_camera: MakeCamera) -> None:
    requests: list[bytes] = []

    def listen(connected: socket.socket, request: bytes) -> None:
        requests.append(request)
        connected.sendall(b'HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')

    other = make_camera(listen).replace("127.0.0.1", "localhost")
    first = make_camera(send(f"HTTP/1.1 302 Go\r\nLocation: http://{other}/\r\n\r\n".encode()))
    with pytest.raises(SourceLostError, match="the server answers 401"):
        list(classifier.stream(f"http://farm:haystack@{first}/", once=True, on_event=lambda event: None))
    assert len(requests) == 1
    assert b"Authorization" not in requests[0]


@pytest.mark.parametrize("scene", [drip(b"a", 0.05, b"HTTP/1.1 200 OK\r\nX-"), drip(b"A: b\r\n", 0.01, OK)])
def test_head_that_drips_is_a_stall(classifier: Classifier, make_camera: MakeCamera, scene: Play) -> None:
    with pytest.raises(SourceLostError, match="is lost: no picture for 0.5 s|sends a head of more|does not speak HTTP"):
        list(
            classifier.stream(
                f"http://{make_camera(scene)}/", wait=False, stall_timeout=0.5, on_event=lambda event: None
            )
        )


def test_endless_head_is_bounded(classifier: Classifier, make_camera: MakeCamera) -> None:
    line = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
    with pytest.raises(SourceLostError, match="the server sends a head of more than 64 kB"):
        list(classifier.stream(f"http://{make_camera(drip(line, 0))}/", wait=False, on_event=lambda event: None))


def test_closing_ends_a_request_at_once_at_each_of_its_steps(tiny_model: object, make_camera: MakeCamera) -> None:
    """Where nobody accepts, the head drips, the body drips: long before the stall timeout of ten minutes."""
    scenes = [
        send(hold=True),
        drip(b"a", 0.05, OK),
        drip(b"x", 0.05, OK + b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff"),
    ]
    silent = socket.create_server(("127.0.0.1", 0), backlog=1)
    with contextlib.closing(silent):
        addresses = [make_camera(scene) for scene in scenes] + [f"127.0.0.1:{silent.getsockname()[1]}"]
        for address in addresses:
            with no_thread_left():
                classifier = load(str(tiny_model))
                closer = threading.Timer(0.3, classifier.close)
                closer.start()
                begun_s = time.monotonic()
                assert list(classifier.stream(f"http://{address}/", stall_timeout=600)) == []
                closer.join()
                assert time.monotonic() - begun_s < 300
