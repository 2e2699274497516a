"""A static web server on loopback that counts, breaks off and answers wrongly as it is told."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class StaticWeb:
    """What the server does, and what it has done."""

    folder: Path
    """What it hands out."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of a model it breaks the connection, one for each request until they are used up."""
    ranges: bool = True
    """Whether it knows the Range header."""
    missing: tuple[int, str, bytes] = (404, "text/plain", b"nothing here\n")
    """Status, type and body of what is not there."""
    headers: dict[str, str] = field(default_factory=dict)
    """More headers of that answer."""
    instead: dict[str, bytes] = field(default_factory=dict)
    """The end of an address to other bytes that are sent in place of the file's."""
    asked: list[str] = field(default_factory=list)
    """The path of each request, and the range it asked for."""
    sent: int = 0
    """Bytes of models."""
    url: str = ""
    chunk: Callable[[], None] = lambda: None
    """Is called before each piece of a model is sent."""

    @property
    def targets(self) -> list[str]:
        """The requests for models."""
        return [path for path in self.asked if path.startswith("/targets/")]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[StaticWeb]:
    """Serve a folder until the block ends."""
    web = StaticWeb(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, web)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: boards are killed in tests."""

    server = Server(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: http.server.BaseHTTPRequestHandler, web: StaticWeb) -> None:
    asked = handler.headers.get("Range", "")
    web.asked.append(f"{handler.path} {asked}".strip())
    path = web.folder / handler.path.lstrip("/")
    other = next((body for end, body in web.instead.items() if handler.path.endswith(end)), None)
    if other is None and not path.is_file():
        status, kind, body = web.missing
        _send(handler, status, kind, body, web.headers)
        return
    body = path.read_bytes() if other is None else other
    status, headers = 200, {}
    if asked and web.ranges:
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        if first >= len(body):
            _send(handler, 416, "text/plain", b"")
            return
        status, headers = 206, {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
        body = body[first:]
    is_model = handler.path.startswith("/targets/")
    cut = web.cuts.pop(0) if is_model and web.cuts else None
    _send(handler, status, "application/octet-stream", body, headers, cut, web if is_model else None)


def _send(
    handler: http.server.BaseHTTPRequestHandler,
    status: int,
    kind: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    cut: int | None = None,
    counted: StaticWeb | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    body = body if cut is None else body[:cut]
    for begin in range(0, len(body), 8192):
        piece = body[begin : begin + 8192]
        if counted is not None:
            counted.chunk()
            counted.sent += len(piece)
        handler.wfile.write(piece)
    if cut is not None:
        handler.wfile.flush()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.connection.shutdown(socket.SHUT_RDWR)
