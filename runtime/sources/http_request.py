"""One HTTP request for a camera's picture or stream: one deadline over all of it, a bounded head, interruptible."""

import http.client
import io
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.http_login import Login, read_challenges
from edgevit.runtime.sources.sockets import SocketStream
from edgevit.runtime.sources.streams import CHUNK

HEAD_LIMIT = 64 << 10
"""Bytes that an answer may have before its body."""
MOST_HOPS = 6
"""Requests for one answer: logins and redirections."""
_REDIRECTIONS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Site:
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @classmethod
    def of(cls, url: str) -> "Site":
        """Read a URL; its login and fragment are left out.

        Raises:
            SourceLostError: it is none of HTTP.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in _PORTS:
            raise SourceLostError(f"the server sends on to {plain(url)}, which is no HTTP; give that address instead")
        # browsers escape what may not stand in a request, and leave what is escaped already
        target = quote(
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe="%/:=&?~+!$,;'@()*[]|^{}\\"
        )
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], target)

    @property
    def header(self) -> str:
        """What stands behind Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode()
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def may_be_told(self, other: "Site") -> bool:
        """Tell whether a login for this site may be given to another: the same host, and not in the open."""
        return self.host == other.host and (other.scheme, other.port) in ((self.scheme, self.port), ("https", 443))


class Request:
    """A request and its answer; made at the first read, so that it can be interrupted from its creation on."""

    def __init__(self, url: str, login: Login | None) -> None:
        """Name what to ask for; nothing is done yet."""
        self._url, self._login = url, login
        self._stream: SocketStream | None = None
        self._wire: _Wire | None = None
        self._response: Any = None
        self._guard = threading.Lock()
        self._interrupted = False

    def open(self, timeout_s: float) -> None:
        """Ask, log in and follow redirections until there is an answer, unless that is done.

        Raises:
            TimeoutError: the answer's head was not complete in time.
            OSError: the server cannot be reached; a SourceLostError if it refuses.
        """
        if self._response is not None:
            return
        deadline_s = time.monotonic() + timeout_s
        first = site = Site.of(self._url)
        asked = False
        for _ in range(MOST_HOPS):
            login = self._login if first.may_be_told(site) else None
            response = self._ask(site, login, deadline_s)
            if response.status == 200:
                self._response = response
                return
            if response.status == 401 and login is not None and (not asked or _is_stale(response)):
                asked = True
                login.choose(response.headers.get_all("WWW-Authenticate") or ())
            elif response.status in _REDIRECTIONS and response.headers["Location"]:
                site = Site.of(urljoin(f"{site.scheme}://{site.header}{site.target}", response.headers["Location"]))
            else:
                raise SourceLostError(f"the server answers {response.status} {plain(response.reason)}")
        raise SourceLostError(f"the server sends on and on, {MOST_HOPS} times; give the address that it ends at")

    def _ask(self, site: Site, login: Login | None, deadline_s: float) -> Any:
        self.close()
        tls = ssl.create_default_context() if site.scheme == "https" else None
        with self._guard:
            if self._interrupted:
                raise ConnectionAbortedError("interrupted")
            stream = self._stream = SocketStream(site.host, site.port, tls)
        authorization = None if login is None else login.header("GET", site.target)
        try:
            lines = [f"GET {site.target} HTTP/1.1", f"Host: {site.header}", "User-Agent: edgevit", "Accept: */*"]
            lines += ["Connection: close", *([] if authorization is None else [f"Authorization: {authorization}"])]
            data = "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
        except UnicodeError as error:
            raise SourceLostError(f"{plain(site.host)} is no name of a host") from error
        stream.send(data, deadline_s)
        self._wire = _Wire(stream, deadline_s)
        response = http.client.HTTPResponse(self._wire, method="GET")  # type: ignore[arg-type]
        try:
            response.begin()
        except http.client.RemoteDisconnected:
            raise SourceLostError("the server does not speak HTTP: it closed the connection at once") from None
        except (http.client.HTTPException, ValueError) as error:
            raise SourceLostError(f"the server does not speak HTTP ({type(error).__name__})") from error
        self._wire.head_left = None
        return response

    @property
    def type(self) -> str:
        """The answer's Content-Type, without parameters, in small letters; "" if it has none."""
        return str(self._response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """Bytes of the body; None if the answer does not say."""
        length: int | None = self._response.length
        return length

    def read(self, timeout_s: float) -> bytes:
        """Return a part of the body, nothing at its end; raises as a ByteStream does, and opens before."""
        deadline_s = time.monotonic() + timeout_s
        self.open(timeout_s)
        assert self._wire is not None
        self._wire.deadline_s = deadline_s
        try:
            data = bytes(self._response.read1(CHUNK))
        except (http.client.HTTPException, ValueError) as error:
            raise SourceLostError(f"the server broke off its answer ({type(error).__name__})") from error
        if not data and self._response.length:
            raise SourceLostError(f"the server broke off its answer, {self._response.length} bytes before its end")
        return data

    def interrupt(self) -> None:
        with self._guard:
            self._interrupted = True
            if self._stream is not None:
                self._stream.interrupt()

    def close(self) -> None:
        with self._guard:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _Wire(io.RawIOBase):
    """What http.client takes for a socket: each read is under the deadline."""

    def __init__(self, stream: SocketStream, deadline_s: float) -> None:
        self._stream = stream
        self.deadline_s = deadline_s
        """A time of time.monotonic."""
        self.head_left: int | None = HEAD_LIMIT
        """Bytes that may still come before the body; None within the body."""

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.receive_into(memoryview(buffer).cast("B"), self.deadline_s)
        if self.head_left is not None:
            self.head_left -= count
            if self.head_left < 0:
                raise SourceLostError(f"the server sends a head of more than {HEAD_LIMIT >> 10} kB")
        return count


def _is_stale(response: Any) -> bool:
    """Tell whether a login was refused only because its nonce is old."""
    headers = response.headers.get_all("WWW-Authenticate") or ()
    return any(each.parameters.get("stale", "").lower() == "true" for each in read_challenges(headers))


def plain(text: object) -> str:
    """Return what a server said as one line that is not long."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:100])
