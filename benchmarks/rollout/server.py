"""A static web server that dies in the middle of models."""

import http.server
import multiprocessing
import os
import random
import re
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from rollout.model import SIZE

FORK = multiprocessing.get_context("fork")


class WebServer:
    """A static server in a process of its own, which dies in the middle of models and is started anew."""

    def __init__(self, folder: Path, cuts: int, draw: random.Random) -> None:
        self._folder, self._cuts, self._draw = folder, cuts, draw
        self.kills = -1
        self.asked = FORK.Value("i", 0)
        self._port = FORK.Value("i", 0)
        self._process: BaseProcess | None = None
        self.revive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port.value}"

    def revive(self) -> None:
        """Start it if it is dead."""
        if self._process is not None and self._process.is_alive():
            return
        self.kills += 1
        cut = self._draw.randint(SIZE // 20, SIZE) if self.kills < self._cuts else 0
        self._process = FORK.Process(target=self._serve, args=(cut,))
        self._process.start()
        while not self._port.value:
            time.sleep(0.01)

    def _serve(self, cut: int) -> None:
        """Be the server, until so many bytes of models were sent."""
        sent, guard = [0], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:  # noqa: N805
                self._answer(handler, sent, guard, cut)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: boards are killed."""

        with Server(("127.0.0.1", self._port.value), Handler) as server:
            self._port.value = server.server_port
            server.serve_forever()

    def _answer(
        self, handler: http.server.BaseHTTPRequestHandler, sent: list[int], guard: threading.Lock, cut: int
    ) -> None:
        with self.asked.get_lock():
            self.asked.value += 1
        path = self._folder / handler.path.lstrip("/")
        if not path.is_file():
            handler.send_error(404)
            return
        body, begin = path.read_bytes(), 0
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        handler.send_response(206 if asked else 200)
        if asked:
            begin = int(asked[1])
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        for place in range(begin, len(body), 16384):
            handler.wfile.write(body[place : place + 16384])
            if handler.path.startswith("/targets/"):
                with guard:
                    sent[0] += 16384
                    if cut and sent[0] >= cut:
                        os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join()
