"""HTTP cameras: an MJPEG stream or a snapshot, told apart by what the server says it sends."""

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from edgevit.errors import SourceLostError
from edgevit.runtime.addresses.address import Address
from edgevit.runtime.sources.connections import LivePicture, StreamConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.mjpeg import LIMIT
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.streams import CHUNK, shut_down

STREAMS = ("multipart/x-mixed-replace", "multipart/mixed", "video/x-motion-jpeg", "video/x-jpeg", "video/mjpeg")
"""Content types of MJPEG."""


class WebStream:
    """The body of an HTTP answer."""

    def __init__(self, url: Address, timeout_s: float) -> None:
        """Ask for it; OSError if the server cannot be reached, or refuses."""
        self._sockets: list[socket.socket] = []
        opener = _opener(url, self._sockets)
        request = urllib.request.Request(url.bare, headers={"Accept": "*/*", "User-Agent": "edgevit"})
        try:
            self._response: Any = opener.open(request, timeout=timeout_s)
        except Exception as error:
            self._close_sockets()
            raise _readable(error) from None
        self.type = str(self._response.headers.get_content_type())

    def read(self, timeout_s: float) -> bytes:
        self._sockets[-1].settimeout(max(timeout_s, 1e-3))
        try:
            data = bytes(self._response.read1(CHUNK))
        except (http.client.HTTPException, ValueError) as error:
            raise SourceLostError(f"the server broke off its answer ({type(error).__name__})") from error
        if not data and self._response.length:
            raise SourceLostError(f"the server broke off its answer, {self._response.length} bytes before its end")
        return data

    def interrupt(self) -> None:
        for connected in tuple(self._sockets):
            shut_down(connected)

    def close(self) -> None:
        self._response.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for connected in self._sockets:
            connected.close()


class SnapshotConnection:
    """One request for each picture, made when it is wanted."""

    on_demand = True

    def __init__(self, source: Source, first: WebStream) -> None:
        """Ask again and again; `first` is the answer to the first request."""
        self._source = source
        self._answer: WebStream | None = first
        self._interrupted = False

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        deadline_s = time.monotonic() + timeout_s
        answer = self._answer = self._answer or WebStream(self._source.parts, timeout_s)
        try:
            body = bytearray()
            while not self._interrupted and (data := answer.read(deadline_s - time.monotonic())):
                body += data
                if len(body) > LIMIT:
                    raise SourceLostError(f"the server sends a picture of more than {LIMIT >> 20} MB")
                if time.monotonic() > deadline_s:
                    raise TimeoutError
        finally:
            self._answer = None
            answer.close()
        if not body:
            raise SourceLostError("the server sends an empty picture")
        return [bytes(body)]

    def interrupt(self) -> None:
        self._interrupted = True
        if (answer := self._answer) is not None:
            answer.interrupt()

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()


def connect(source: Source, source_options: SourceOptions) -> StreamConnection | SnapshotConnection:
    """Ask an HTTP server for its picture or stream.

    Raises:
        OSError: it cannot be reached; a SourceLostError if it answers with something else.
    """
    stream = WebStream(source.parts, source_options.stall_s)
    if stream.type in STREAMS:
        return StreamConnection(stream, source.name)
    if stream.type.startswith("image/"):
        return SnapshotConnection(source, stream)
    stream.close()
    raise SourceLostError(f"the server sends {_plain(stream.type)}, expected an image or {STREAMS[0]}")


def _readable(error: Exception) -> Exception:
    """Return what to raise for an error of urllib, whose own texts are for programmers."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return SourceLostError(f"the server answers {error.code} {_plain(error.reason)}")
    if isinstance(error, urllib.error.URLError):
        return error.reason if isinstance(error.reason, OSError) else SourceLostError(_plain(error.reason))
    if isinstance(error, OSError):
        return error
    # urllib meets malformed headers with errors of any kind: IndexError for a digest without values
    return SourceLostError(f"the server does not speak HTTP ({type(error).__name__})")


def _plain(text: object) -> str:
    """Return what a server said as one line that is not long."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:100])


def _opener(url: Address, sockets: list[socket.socket]) -> urllib.request.OpenerDirector:
    """Return what opens URLs with the user and password in `url`, and notes the sockets it connects."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if url.user is not None:
        passwords.add_password(None, url.bare, url.user, url.password or "")
    return urllib.request.build_opener(
        # a camera is near; what a proxy for the web is set to does not concern it
        urllib.request.ProxyHandler({}),
        _Plain(sockets),
        _Secure(sockets),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    )


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_noting(http.client.HTTPConnection, self._sockets), request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_noting(http.client.HTTPSConnection, self._sockets), request)


def _noting(kind: Any, sockets: list[socket.socket]) -> Callable[..., Any]:
    """Return a kind of connection that notes its socket: only there a read's time limit can be changed."""

    class Noting(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Noting
