"""HTTP and TCP cameras, played by servers on loopback that stall, break off, send rubbish, go away and return."""

import base64
import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import EdgevitError, OptionError, SourceLostError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.events.event import Event
from edgevit.runtime.loading import load
from tests.ports import refusing_port
from tests.waiting import no_thread_left

COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200), "black": (0, 0, 0)}
PART = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
MJPEG = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"

Play = Callable[[socket.socket, bytes], None]
Serve = Callable[..., int]


def jpeg(name: str, size: tuple[int, int] = (48, 64), dot: int = 0) -> bytes:
    """Return a plain picture; `dot` makes it another one, byte for byte."""
    image: NDArray[np.uint8] = np.full((*size, 3), COLORS[name][::-1], np.uint8)
    image[8:16, 8:16] += np.uint8(dot % 12)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


class Camera:
    """A server that plays one scene for each connection, the last one for ever."""

    def __init__(self, scenes: list[Play], reads_request: bool) -> None:
        self._scenes, self._reads_request = scenes, reads_request
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.over = threading.Event()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for number in range(1_000_000):
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connected)
            scene = self._scenes[min(number, len(self._scenes) - 1)]
            with contextlib.suppress(OSError), connected:
                scene(connected, self._request(connected))

    def _request(self, connected: socket.socket) -> bytes:
        request = b""
        while self._reads_request and b"\r\n\r\n" not in request:
            request += connected.recv(4096) or b"\r\n\r\n"
        return request

    def close(self) -> None:
        self.over.set()
        for ended in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)
            ended.close()
        self._thread.join()


@pytest.fixture
def make_camera() -> Iterator[Callable[..., Camera]]:
    cameras: list[Camera] = []

    def make(*scenes: Play, http: bool = True) -> Camera:
        cameras.append(Camera(list(scenes), http))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()


MakeCamera = Callable[..., Camera]


def send(*parts: bytes, head: bytes = MJPEG, hold: bool = False) -> Play:
    """Return a scene that sends these bytes; and then, to `hold`, waits until the other side has enough."""

    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(head + b"".join(parts))
        if hold:
            connected.recv(1)

    return play


def film(name: str) -> Play:
    """Return a scene that shows a picture that always changes, until nobody looks any more."""

    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(MJPEG)
        dot = 0
        while True:
            connected.sendall(PART + jpeg(name, dot=dot) + b"\r\n")
            dot += 37
            threading.Event().wait(0.005)

    return play


def snapshot(picture: bytes, status: str = "200 OK", kind: str = "image/jpeg") -> Play:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(picture)}\r\nConnection: close\r\n\r\n"
    return send(picture, head=head.encode())


def address(camera: Camera, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{camera.port}" + ("/video" if scheme == "http" else "")


def test_mjpeg_stream_is_classified_with_its_moment_and_age(classifier: Classifier, make_camera: MakeCamera) -> None:
    source = address(make_camera(film("green")))
    results = list(classifier.stream(source, max_frames=3))
    assert [result.top1 for result in results] == ["green"] * 3
    numbers = [result.moment.sequence for result in results if result.moment]
    assert numbers == sorted(set(numbers))
    for result in results:
        line = result.to_dict()
        assert line["source"] == source
        assert {"time", "frame", "age_ms", "dropped"} <= set(line)
        assert 0 <= line["age_ms"] < 60_000


def test_stalled_stream_is_lost_and_recovered_when_it_returns(classifier: Classifier, make_camera: MakeCamera) -> None:
    stalls = send(PART + jpeg("red"), hold=True)
    source = address(make_camera(stalls, stalls, film("blue")))
    events: list[Event] = []
    results = classifier.stream(source, stall_timeout=2, on_event=events.append)
    assert next(results).top1 == "red"
    assert next(results).top1 == "blue"
    results.close()
    assert [event.kind for event in events] == ["source_lost", "source_back"]
    assert events[0].facts["reason"] == "no picture for 2 s"
    assert events[0].moment.monotonic_s + events[1].facts["away_s"] == pytest.approx(
        events[1].moment.monotonic_s, abs=0.01
    )


def test_trickle_of_bytes_without_a_picture_is_a_stall(classifier: Classifier, make_camera: MakeCamera) -> None:
    def trickle(connected: socket.socket, request: bytes) -> None:
        connected.sendall(MJPEG)
        while True:
            connected.sendall(b"x")
            threading.Event().wait(0.02)

    source = address(make_camera(trickle))
    with pytest.raises(SourceLostError, match=r"is lost: no picture for 1 s"):
        list(classifier.stream(source, stall_timeout=1, wait=False))


def test_stream_that_breaks_off_in_mid_frame_gives_no_half_picture(
    classifier: Classifier, make_camera: MakeCamera
) -> None:
    red = jpeg("red")
    source = address(make_camera(send(PART, red, PART, jpeg("blue")[:-30]), film("green")))
    events: list[Event] = []
    results = classifier.stream(source, on_event=events.append, max_frames=2)
    # the red one may be gone before anybody looks: what was before the loss is not now
    assert [result.top1 for result in results][-1] == "green"
    assert events[0].facts["reason"] == "the other side closed the connection"


def test_garbage_between_frames_is_skipped(classifier: Classifier, make_camera: MakeCamera) -> None:
    garbage = random.Random(4).randbytes(10_000)
    source = address(make_camera(send(garbage, jpeg("red")[:300], garbage, jpeg("green"), garbage, hold=True)))
    assert next(classifier.stream(source)).top1 == "green"


def test_picture_that_is_damaged_inside_is_told_once_and_skipped(
    classifier: Classifier, make_camera: MakeCamera
) -> None:
    """The marks of its beginning and end are whole, its size is not."""
    damaged = [bytearray(jpeg("red", dot=dot)) for dot in (1, 2)]
    for picture in damaged:
        at = picture.index(b"\xff\xc0")
        picture[at + 5 : at + 9] = bytes(4)

    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(MJPEG)
        while True:
            for picture in (*damaged, jpeg("green", dot=random.randrange(256))):
                connected.sendall(PART + bytes(picture))
                threading.Event().wait(0.03)

    errors: list[EdgevitError] = []
    results = classifier.stream(address(make_camera(play)), max_frames=3, on_error=errors.append)
    assert [result.top1 for result in results] == ["green"] * 3
    assert all(len(str(error).splitlines()) == 1 for error in errors)


def test_resolution_may_change_in_mid_stream(classifier: Classifier, make_camera: MakeCamera) -> None:
    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(MJPEG)
        for size in [(48, 64), (480, 640), (24, 32)] * 1000:
            connected.sendall(PART + jpeg("blue", size, dot=random.randrange(256)))
            threading.Event().wait(0.01)

    regions = ["middle=0.25,0.25,0.5,0.5"]
    results = list(classifier.stream(address(make_camera(play)), max_frames=6, roi=regions))
    assert [result.top1 for result in results] == ["blue"] * 6


def test_black_picture_is_never_classified(classifier: Classifier, make_camera: MakeCamera) -> None:
    seen: list[int] = []

    def play(connected: socket.socket, request: bytes) -> None:
        connected.sendall(MJPEG)
        for number in range(10_000):
            name = "red" if seen else "black"
            connected.sendall(PART + jpeg(name, dot=number % 9))
            threading.Event().wait(0.01)

    source = address(make_camera(play))
    results = classifier.stream(source, max_frames=2, on_picture=lambda image, moment: seen.append(int(image.max())))
    assert [result.top1 for result in results] == ["red", "red"]
    assert min(seen) < 16


def test_nothing_but_black_is_a_loss_if_not_to_be_waited_for(classifier: Classifier, make_camera: MakeCamera) -> None:
    with pytest.raises(SourceLostError, match="gave only black or damaged pictures"):
        list(classifier.stream(address(make_camera(film("black"))), once=True, stall_timeout=2))


def test_snapshots_are_asked_for_one_by_one(classifier: Classifier, make_camera: MakeCamera) -> None:
    camera = make_camera(snapshot(jpeg("red")), snapshot(jpeg("red")), snapshot(jpeg("green")))
    results = list(classifier.stream(address(camera), max_frames=2))
    assert [result.top1 for result in results] == ["red", "green"]
    assert [result.moment.sequence for result in results if result.moment] == [0, 2]


def test_name_and_password_are_given_and_not_shown(classifier: Classifier, make_camera: MakeCamera) -> None:
    requests: list[bytes] = []

    def ask_who(connected: socket.socket, request: bytes) -> None:
        requests.append(request)
        connected.sendall(b'HTTP/1.0 401 Who\r\nWWW-Authenticate: Basic realm="camera"\r\nContent-Length: 0\r\n\r\n')

    def answer(connected: socket.socket, request: bytes) -> None:
        requests.append(request)
        snapshot(jpeg("blue"))(connected, request)

    camera = make_camera(ask_who, answer)
    (result,) = classifier.stream(f"http://farm:hay%20stack@127.0.0.1:{camera.port}/shot.jpg", max_frames=1)
    assert (result.top1, result.source) == ("blue", f"http://farm:***@127.0.0.1:{camera.port}/shot.jpg")
    assert base64.b64encode(b"farm:hay stack") in requests[1]
    assert b"Host: 127.0.0.1" in requests[0]


def test_digest_password_is_never_sent(classifier: Classifier, make_camera: MakeCamera) -> None:
    requests: list[bytes] = []
    challenge = (
        b'WWW-Authenticate: Digest realm="camera", nonce="n1", qop="auth", algorithm=MD5\r\nContent-Length: 0\r\n'
    )

    def ask_who(connected: socket.socket, request: bytes) -> None:
        connected.sendall(b"HTTP/1.0 401 Who\r\n" + challenge + b"\r\n")

    def answer(connected: socket.socket, request: bytes) -> None:
        requests.append(request)
        snapshot(jpeg("blue"))(connected, request)

    camera = make_camera(ask_who, answer)
    (result,) = classifier.stream(f"http://farm:haystack@127.0.0.1:{camera.port}/shot.jpg", max_frames=1)
    assert result.top1 == "blue"
    assert b'username="farm"' in requests[0]
    assert b"haystack" not in requests[0]


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (snapshot(b"nothing here", "404 Not Found", "text/html"), "the server answers 404 Not Found"),
        (snapshot(b"<html>", kind="text/html"), "the server sends text/html, expected an image or multipart"),
        (snapshot(b""), "the server sends an empty picture"),
        (send(b"SSH-2.0-x\r\n", head=b""), "the server does not speak HTTP"),
        (send(head=b""), "the server does not speak HTTP|closed connection"),
        (send(jpeg("red")[:99], head=b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 999\r\n\r\n"),
         "the server broke off its answer"),
    ],
)  # fmt: skip
def test_wrong_answer_says_what_came(classifier: Classifier, make_camera: MakeCamera, scene: Play, reason: str) -> None:
    with pytest.raises(SourceLostError, match=reason) as caught:
        list(classifier.stream(address(make_camera(scene)), once=True, on_event=lambda event: None))
    assert caught.value.exit_code == 4
    assert len(str(caught.value).splitlines()) == 1


def test_server_that_is_not_there_is_a_loss(classifier: Classifier) -> None:
    with refusing_port() as port:
        for scheme in ("http", "tcp"):
            with pytest.raises(SourceLostError, match="is lost: Connection refused"):
                list(classifier.stream(f"{scheme}://127.0.0.1:{port}/", wait=False, on_event=lambda event: None))


def test_any_answer_is_pictures_or_a_loss(classifier: Classifier, make_camera: MakeCamera) -> None:
    draw = random.Random(11)
    heads = [b"", MJPEG, b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/"]
    scenes = [send(draw.randbytes(draw.randrange(60)), head=draw.choice(heads)) for _ in range(100)]
    source = address(make_camera(*scenes))
    for _ in scenes:
        with pytest.raises(SourceLostError):
            list(classifier.stream(source, once=True, stall_timeout=5, on_event=lambda event: None))


def test_tcp_carries_mjpeg(classifier: Classifier, make_camera: MakeCamera) -> None:
    camera = make_camera(send(jpeg("red"), head=b"", hold=True), http=False)
    (result,) = classifier.stream(address(camera, "tcp"), max_frames=1)
    assert (result.top1, result.source) == ("red", address(camera, "tcp"))


def test_tcp_carries_raw_frames(classifier: Classifier, make_camera: MakeCamera) -> None:
    frame = np.full((48, 64, 3), COLORS["green"], np.uint8).tobytes()
    camera = make_camera(send(frame[:5000], frame[5000:], frame[:99], head=b"", hold=True), http=False)
    (result,) = classifier.stream(address(camera, "tcp"), max_frames=1, raw="64x48")
    assert result.top1 == "green"


def test_raw_frame_that_begins_like_h264_is_a_frame(classifier: Classifier, make_camera: MakeCamera) -> None:
    """Nearly black pixels in the upper left corner are 0, 0, 0, 1."""
    frame = np.full((48, 64, 3), (50, 25, 200), np.uint8)
    frame.reshape(-1)[:4] = (0, 0, 0, 1)
    camera = make_camera(send(frame.tobytes(), head=b"", hold=True), http=False)
    (result,) = classifier.stream(address(camera, "tcp"), raw="64x48", max_frames=1)
    assert result.top1 == "blue"


def test_h264_is_refused_with_the_remedy(classifier: Classifier, make_camera: MakeCamera) -> None:
    camera = make_camera(send(b"\0\0\0\1\x67\x42", head=b"", hold=True), http=False)
    with pytest.raises(OptionError, match="sends H.264, not MJPEG; with rpicam-vid, add `--codec mjpeg`"):
        list(classifier.stream(address(camera, "tcp")))


def test_stream_ends_when_the_classifier_is_closed_by_another_thread(tiny_model: Path, make_camera: MakeCamera) -> None:
    source = address(make_camera(send(PART + jpeg("red"), hold=True)))
    with no_thread_left():
        classifier = load(tiny_model)
        results = classifier.stream(source, stall_timeout=60)
        assert next(results).top1 == "red"
        closer = threading.Timer(0.05, classifier.close)
        closer.start()
        assert list(results) == []
        closer.join()
