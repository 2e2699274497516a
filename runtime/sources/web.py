"""HTTP cameras: an MJPEG stream or a snapshot, told apart by their bytes, and only then by what the server says."""

import re
import time

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.connections import LivePicture, StreamConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.http_login import Login
from edgevit.runtime.sources.http_request import Request, plain
from edgevit.runtime.sources.mjpeg import LIMIT
from edgevit.runtime.sources.options import SourceOptions

STREAMS = ("multipart/x-mixed-replace", "multipart/mixed", "video/x-motion-jpeg", "video/x-jpeg", "video/mjpeg")
"""Content types of MJPEG."""
LOOK = 4096
"""Bytes among which the first picture of a stream begins."""
HELD_S = 1.0
"""How long the answer to the first request is a picture of now."""

_JPEG = b"\xff\xd8\xff"
_IMAGE = re.compile(rb"\x89PNG|RIFF....WEBP|GIF8|BM|II\*\0|MM\0\*|....ftyp", re.DOTALL)
"""How other pictures begin."""


class WebConnection:
    """A camera of which the first answer shows whether it is a stream, or is to be asked for each picture."""

    def __init__(self, source: Source) -> None:
        """Name the camera; the first request is made by the first read."""
        self._source = source
        url = source.parts
        self._login = None if url.user is None else Login(url.user, url.password or "")
        self._interrupted = False
        self._request = Request(url.bare, self._login)
        self._head = b""
        self._answered_s = 0.0
        self._stream: StreamConnection | None = None
        self._kind = ""
        self._pictures = 0
        self.on_demand = False

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        """Return pictures; none if it was only found out that the camera is to be asked for each."""
        deadline_s = time.monotonic() + timeout_s
        if self._stream is not None:
            return self._from_stream(self._stream, timeout_s)
        if self.on_demand:
            return self._snapshot(deadline_s)
        self._head = self._begin(deadline_s)
        self._answered_s = time.monotonic()
        self._kind, self._pictures = self._judge(), 0
        if self._kind == "snapshot":
            self.on_demand = True
            return []
        self._stream = StreamConnection(_Begun(self._request, self._head), self._source.name)
        return self._from_stream(self._stream, deadline_s - time.monotonic())

    def _begin(self, deadline_s: float) -> bytes:
        """Return the first bytes of an answer, enough to tell what it is."""
        head = b""
        while data := self._request.read(deadline_s - time.monotonic()):
            head += data
            begun = head.lstrip()
            told = self._request.type in STREAMS or self._request.type.startswith("image/")
            known = begun.startswith((_JPEG, b"--")) or _IMAGE.match(begun) is not None
            if len(begun) >= 12 and (told or known or len(head) >= LOOK):
                break
        return head

    def _judge(self) -> str:
        """Return "stream", "snapshot", or "either" for JPEG that may go on or end after one picture.

        Raises:
            SourceLostError: there is no picture in it.
        """
        kind, begun = self._request.type, self._head.lstrip()
        if begun.startswith(b"--"):
            return "stream"
        if begun.startswith(_JPEG):
            return "either" if self._request.length is None else "snapshot"
        if _IMAGE.match(begun) or kind.startswith("image/"):
            return "snapshot"
        if kind in STREAMS or _JPEG in self._head[: LOOK + len(_JPEG)]:
            return "stream"
        if not self._head:
            raise SourceLostError("the server sends an empty picture")
        what = plain(kind) if kind else "something without a Content-Type"
        raise SourceLostError(f"the server sends {what}, expected an image or {STREAMS[0]}")

    def _from_stream(self, stream: StreamConnection, timeout_s: float) -> list[LivePicture] | None:
        try:
            pictures = stream.read(timeout_s)
        except SourceLostError:
            raise
        except ConnectionError:
            # one picture and the end: the next one is to be asked for
            if self._kind != "either" or self._pictures > 1 or self._interrupted:
                raise
            self._stream, self.on_demand = None, True
            self._next_request()
            return []
        self._pictures += len(pictures or ())
        return pictures

    def _snapshot(self, deadline_s: float) -> list[LivePicture]:
        if self._head and time.monotonic() - self._answered_s > HELD_S:
            self._next_request()
        body = bytearray(self._head)
        self._head = b""
        try:
            while data := self._request.read(deadline_s - time.monotonic()):
                body += data
                if len(body) > LIMIT:
                    raise SourceLostError(f"the server sends a picture of more than {LIMIT >> 20} MB")
                if time.monotonic() > deadline_s:
                    raise TimeoutError
        finally:
            self._next_request()
        if not body:
            raise SourceLostError("the server sends an empty picture")
        return [bytes(body)]

    def _next_request(self) -> None:
        self._request.close()
        self._head = b""
        self._request = Request(self._source.parts.bare, self._login)
        # whoever interrupted before that did not know of it
        if self._interrupted:
            self._request.interrupt()

    def interrupt(self) -> None:
        self._interrupted = True
        self._request.interrupt()

    def close(self) -> None:
        self._request.close()


class _Begun:
    """The body of an answer whose first bytes were read already."""

    def __init__(self, request: Request, head: bytes) -> None:
        self._request, self._head = request, head

    def read(self, timeout_s: float) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._request.read(timeout_s)

    def interrupt(self) -> None:
        self._request.interrupt()

    def close(self) -> None:
        self._request.close()


def connect(source: Source, source_options: SourceOptions) -> WebConnection:
    """Return a connection that is made at its first read, and knows then whether it is a stream or a snapshot."""
    return WebConnection(source)
