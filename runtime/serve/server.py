"""The page's web server: its threads read what the loop left for them, and no reader can hold the loop back."""

import contextlib
import http.server
import logging
import select
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from edgevit.errors import OutputError
from edgevit.runtime.serve.actions import LONGEST_BODY, act, read_fields
from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import ROUTES, STREAM, TEXT, PageState, Response, refusal
from edgevit.schema import is_whole

MOST_CONNECTIONS, MOST_STREAMS = 24, 4
"""At once; of connections the oldest goes for a new one, whoever else wants to watch is told to come again."""
REQUEST_S = 5.0
"""How long a reader may take to send its request."""
READ_S = 10.0
"""How long it may take for the answer, or for one picture of the stream."""
WAITING = 64
"""Connections that the system keeps until they are taken."""
FASTEST_S = 0.1
"""At most ten pictures a second, for each who watches."""
LOOK_S = 1.0
"""How often to look whether a watcher is still there, while no picture comes."""
PART = "edgevit-picture"
BOUNDARY = f"--{PART}\r\n".encode()

log = logging.getLogger(__name__)


@dataclass
class Visit:
    """An open connection."""

    until_s: float
    """When it is ended, on the monotonic clock."""
    stage: Literal["asking", "answered", "watching"] = "asking"


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Listens from when it is made until it is closed; a thread for each connection, of which there are few."""

    request_queue_size = WAITING

    def __init__(self, access: Access, state: PageState) -> None:
        """Begin to listen.

        Raises:
            OutputError: the address cannot be listened at.
        """
        self.access, self.state = access, state
        self.streams = threading.BoundedSemaphore(MOST_STREAMS)
        self._open: dict[socket.socket, Visit] = {}
        """The oldest first."""
        self._guard = threading.Lock()
        where = f"{access.host}:{access.port}"
        try:
            found = socket.getaddrinfo(access.host, access.port, type=socket.SOCK_STREAM)[0]
            self.address_family = found[0]
            super().__init__(found[4], Handler)  # type: ignore[arg-type]
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"the page cannot be served at {where}: {reason}; choose another port") from error
        host = f"[{access.host}]" if ":" in access.host else access.host
        self.url = f"http://{host}:{self.server_address[1]}/"
        self._thread = threading.Thread(target=self.serve_forever, name="edgevit page", args=(0.25,), daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, as HTTPServer does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def allow(self, connection: socket.socket, stage: Literal["answered", "watching"]) -> None:
        """Give a connection, whose request has come, the time for an answer or a picture."""
        with self._guard:
            if (visit := self._open.get(connection)) is not None:
                visit.stage, visit.until_s = stage, time.monotonic() + READ_S

    def service_actions(self) -> None:
        """End connections whose time is over, however slowly and steadily they go on."""
        now_s = time.monotonic()
        with self._guard:
            late = [connection for connection, visit in self._open.items() if visit.until_s < now_s]
        for connection in late:
            _shut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            dropped = self._oldest() if len(self._open) >= MOST_CONNECTIONS else None
            if dropped is not None:
                del self._open[dropped]
            self._open[request] = Visit(time.monotonic() + REQUEST_S)
        if dropped is not None:
            _shut(dropped)
        super().process_request(request, client_address)

    def _oldest(self) -> socket.socket | None:
        """Return who makes room: who has not even asked yet, or who takes long for an answer; never who watches."""
        for stage in ("asking", "answered"):
            for connection, visit in self._open.items():
                if visit.stage == stage:
                    return connection
        return None

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.info("the page: a connection ended", exc_info=True)

    def close(self) -> None:
        """Stop listening, end all connections, and return when their threads are gone."""
        self.state.view.close()
        self.shutdown()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            _shut(connection)
        self.server_close()
        self._thread.join()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so the connection ends with its answer."""

    server: Server
    timeout = READ_S

    def do_GET(self) -> None:
        self.server.allow(self.connection, "answered")
        path, _, query = self.path.partition("?")
        answer = refusal(self.server.access.token, self.headers["Authorization"], self.headers["Host"])
        if answer is None and path == STREAM:
            if self.command == "HEAD":
                self._begin_stream()
            else:
                self._stream()
            return
        if answer is None:
            route = ROUTES.get(path)
            answer = (
                route(self.server.state, read_fields(query))
                if route
                else Response(404, TEXT, b"there is nothing here; see /\n")
            )
        self._send(answer)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Do what a button of the page asks for; the body is short, and whoever may look may click."""
        answer = refusal(self.server.access.token, self.headers["Authorization"], self.headers["Host"])
        length = self.headers["Content-Length"] or ""
        if answer is None and not is_whole(length):
            answer = Response(411, TEXT, b"say how long the body is\n")
        if answer is None and int(length) > LONGEST_BODY:
            answer = Response(413, TEXT, b"the body is too long for a button\n")
        if answer is None:
            fields = read_fields(self.rfile.read(int(length)).decode("utf-8", "replace"))
            self.server.allow(self.connection, "answered")
            answer = act(self.server.state, self.path.partition("?")[0], fields)
        self._send(answer)

    def _send(self, answer: Response) -> None:
        self._head(answer.status, answer.kind, answer.policy)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.status == 303:
            self.send_header("Location", "./")
        if answer.status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="edgevit", charset="UTF-8"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _head(self, status: int, kind: str, policy: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")

    def _stream(self) -> None:
        """Send each new picture; a reader that is slow misses some."""
        if not self.server.streams.acquire(blocking=False):
            self._send(Response(503, TEXT, b"too many watch already; come again later\n"))
            return
        try:
            self._begin_stream()
            self.wfile.write(BOUNDARY)
            number, view = 0, self.server.state.view
            while not (view.over or self._gone()):
                self.server.allow(self.connection, "watching")
                found = view.next_jpeg(number, LOOK_S)
                if found is not None:
                    number, picture = found
                    size = str(len(picture)).encode()
                    head = b"Content-Type: image/jpeg\r\nContent-Length: " + size + b"\r\n\r\n"
                    # browsers show a picture when they see the boundary behind it
                    self.wfile.write(head + picture + b"\r\n" + BOUNDARY)
                    time.sleep(FASTEST_S)
        finally:
            self.server.streams.release()

    def _begin_stream(self) -> None:
        self._head(200, f"multipart/x-mixed-replace; boundary={PART}", "default-src 'none'")
        self.end_headers()

    def _gone(self) -> bool:
        """Tell whether the other side closed, or the server did."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(4096)

    def version_string(self) -> str:
        return "edgevit"

    def log_message(self, format: str, *values: Any) -> None:
        log.debug(format, *values)
