"""Random bytes from the other side of a connection, for the tests and for benchmarks/fuzz.py."""

import io
import random

import numpy as np

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View

ANSWER = (
    *(b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=", b"HTTP/9"),
    *(b"HTTP/1.1 302 Go\r\nLocation: ", b"Content-Type: multipart/x-mixed-replace; boundary=", b"\r\n", b"\r\n\r\n"),
    *(b"Content-Type: image/jpeg\r\n", b"Content-Length: 10\r\n", b"Content-Length: -1\r\n", b"--frame", b"0\r\n"),
    *(b"Transfer-Encoding: chunked\r\n\r\n", b"FFFFFFFFFF\r\n", b"\xff\xd8\xff\xe0", b"\xff\xd9", b"Content-Type: "),
)
REQUEST = (
    *(b"GET / HTTP/1.0\r\n", b"GET /panel HTTP/1.1\r\n", b"HEAD /healthz HTTP/1.0\r\n\r\n"),
    *(b"GET ", b"HEAD ", b"POST ", b"/", b"/panel", b"/state.json", b"/../", b"?", b" HTTP/1.0", b" HTTP/0.9"),
    *(b"\r\n", b"\r\n\r\n", b"Authorization: ", b"Basic ", b"Bearer ", b"Host: ", b"Content-Length: 99", b" " * 70),
)


def rubbish(draw: random.Random, pieces: tuple[bytes, ...]) -> bytes:
    """Return what nobody would send: pieces in any order, and random bytes between them."""
    parts = (draw.choice(pieces) if draw.random() < 0.7 else draw.randbytes(draw.randrange(20)) for _ in range(9))
    return b"".join(parts)


class Wire:
    """As much of a socket as one request and its answer need: what the other side says is there already."""

    def __init__(self, data: bytes) -> None:
        self._data, self.said = data, bytearray()

    def makefile(self, mode: str, size: int = -1) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._data))

    def sendall(self, data: bytes) -> None:
        self.said += data

    def settimeout(self, seconds: float) -> None:
        """Never waits."""

    def setsockopt(self, *option: int) -> None:
        """Has none."""

    def close(self) -> None:
        """Holds nothing."""


class PlayedStream:
    """A connection on which everything was said already."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def send(self, data: bytes, deadline_s: float) -> None:
        """Nobody listens."""

    def receive_into(self, buffer: memoryview, deadline_s: float) -> int:
        return self._data.readinto(buffer)

    def interrupt(self) -> None:
        """Never waits."""

    def close(self) -> None:
        """Holds nothing."""


class Page:
    """As much of the page's server as its handler needs."""

    def __init__(self, token: str | None) -> None:
        self.access, view, status = Access("127.0.0.1", 0, token), View(), RunStatus(60.0)
        self.state = PageState(view, status, {"version": "1", "model": "m.onnx", "source": "pen"})
        moment = Moment("pen", 1, 0.0, 0.0)
        record = result_record(Result(np.array([1.0], np.float32), ("fox",), moment=moment), moment)
        status.write(record)
        view.write(record)

    def allow(self, connection: object, stage: str) -> None:
        """Ends no connection."""
