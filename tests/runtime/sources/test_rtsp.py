"""An RTSP camera, played on loopback: JPEG over RTP within the RTSP connection, read by OpenCV's FFmpeg."""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import SourceLostError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.events.event import Event
from tests.ports import refusing_port

COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}
SIZE = (96, 128)
"""Multiples of 16, as JPEG over RTP counts in blocks."""
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=yard\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n"
FRAMES_PER_S = 20


def jpeg(name: str, dot: int) -> bytes:
    image: NDArray[np.uint8] = np.full((*SIZE, 3), COLORS[name][::-1], np.uint8)
    image[:8, :8] = dot
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def rtp_packets(picture: bytes, number: int, sequence: Iterator[int]) -> Iterator[bytes]:
    """Yield a baseline 4:2:0 JPEG with the usual Huffman tables as RTP packets (RFC 2435)."""
    tables, scan, place = b"", b"", 2
    while not scan:
        marker, length = picture[place + 1], int.from_bytes(picture[place + 2 : place + 4])
        if marker == 0xDB:
            tables += picture[place + 5 : place + 2 + length]
        if marker == 0xDA:
            scan = picture[place + 2 + length : -2]
        place += 2 + length
    assert len(tables) == 128
    for offset in range(0, len(scan), 1000):
        part = scan[offset : offset + 1000]
        last = offset + 1000 >= len(scan)
        head = struct.pack("!BBHII", 0x80, 26 | last << 7, next(sequence) % 65536, number * 90_000 // FRAMES_PER_S, 1)
        # type 1 is 4:2:0; quality 255 means that the tables follow
        head += struct.pack("!IBBBB", offset, 1, 255, SIZE[1] // 8, SIZE[0] // 8)
        yield head + (struct.pack("!BBH", 0, 0, 128) + tables if offset == 0 else b"") + part


class Camera:
    """Sends one colour on the first connection, the next on the second, the last for ever after."""

    def __init__(self, *colors: str) -> None:
        self._colors = colors
        self.stalled = threading.Event()
        """Once set, the first connection falls silent."""
        self.requests: list[str] = []
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/yard"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        for connection in itertools.count():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connected)
            color = self._colors[min(connection, len(self._colors) - 1)]
            silent = self.stalled if connection == 0 else threading.Event()
            self._threads.append(threading.Thread(target=self._talk, args=[connected, color, silent]))
            self._threads[-1].start()

    def _talk(self, connected: socket.socket, color: str, silent: threading.Event) -> None:
        answers = {
            "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
            "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n",
            "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
            "PLAY": "Session: 1\r\n",
        }
        with contextlib.suppress(OSError), connected, connected.makefile("rb") as file:
            while line := file.readline().decode():
                verb, fields = line.split(" ")[0], {}
                while (field := file.readline().decode().strip()) != "":
                    name, _, value = field.partition(":")
                    fields[name.lower()] = value.strip()
                self.requests.append(verb)
                body = SDP if verb == "DESCRIBE" else ""
                head = f"RTSP/1.0 200 OK\r\nCSeq: {fields['cseq']}\r\n{answers.get(verb, '')}\r\n"
                connected.sendall((head + body).encode())
                if verb == "PLAY":
                    self._play(connected, color, silent)

    def _play(self, connected: socket.socket, color: str, silent: threading.Event) -> None:
        sequence = itertools.count()
        for number in itertools.count():
            if silent.is_set():
                self._over.wait(600)
            for packet in rtp_packets(jpeg(color, number * 7 % 250), number, sequence):
                connected.sendall(struct.pack("!BBH", 0x24, 0, len(packet)) + packet)
            if self._over.wait(1 / FRAMES_PER_S):
                return

    def close(self) -> None:
        self._over.set()
        for open_socket in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def make_camera() -> Iterator[Callable[..., Camera]]:
    made: list[Camera] = []

    def make(*colors: str) -> Camera:
        made.append(Camera(*colors))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


def test_rtsp_stream_is_classified(classifier: Classifier, make_camera: Callable[..., Camera]) -> None:
    camera = make_camera("green")
    results = list(classifier.stream(camera.url, max_frames=3))
    assert [result.top1 for result in results] == ["green"] * 3
    assert {result.source for result in results} == {camera.url}
    assert all(result.age_ms is not None and result.age_ms >= 0 for result in results)
    assert camera.requests[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_rtsp_stream_that_stalls_is_lost_and_recovered(
    classifier: Classifier, make_camera: Callable[..., Camera]
) -> None:
    camera, events = make_camera("red", "blue"), list[Event]()
    results = classifier.stream(camera.url, stall_timeout=10, on_event=events.append)
    assert next(results).top1 == "red"
    camera.stalled.set()
    assert next(result.top1 for result in results if result.top1 != "red") == "blue"
    results.close()
    assert [event.kind for event in events] == ["source_lost", "source_back"]


def test_rtsp_server_that_is_not_there_is_a_loss(classifier: Classifier) -> None:
    with (
        refusing_port() as port,
        pytest.raises(SourceLostError, match=rf"rtsp://127.0.0.1:{port}/yard is lost: it cannot be opened"),
    ):
        list(classifier.stream(f"rtsp://127.0.0.1:{port}/yard", once=True, on_event=lambda event: None))
