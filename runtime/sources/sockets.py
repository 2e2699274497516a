"""A connection over TCP, perhaps with TLS: each step under a deadline, interruptible from before it is made."""

import contextlib
import os
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.streams import CHUNK

Done = TypeVar("Done")

_READ, _WRITE = select.POLLIN, select.POLLOUT
_LOOK_S = 0.1
"""How often to look whether it was interrupted while the system looks a name up, which nothing can interrupt."""


class SocketStream:
    """A ByteStream that connects at its first use; opened, read and closed by one thread, interrupted by any."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Name what to connect to; nothing is done yet."""
        self._host, self._port, self._tls = host, port, tls
        self._socket: socket.socket | None = None
        self._woken, self._wake = os.pipe()
        self._interrupted = False

    def open(self, deadline_s: float) -> socket.socket:
        """Connect unless that is done; `deadline_s` is a time of time.monotonic, here and below.

        Raises:
            TimeoutError: it took too long.
            OSError: nobody answers; a ConnectionAbortedError once interrupted.
        """
        if self._socket is not None:
            return self._socket
        trouble: OSError = ConnectionRefusedError("the name stands for no address")
        for family, address in self._addresses(deadline_s):
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                self._connect(self._socket, address, deadline_s)
                if self._tls is not None:
                    self._socket = self._encrypted(self._socket, self._tls, deadline_s)
                return self._socket
            except TimeoutError:
                self._drop()
                raise
            except OSError as error:
                self._drop()
                trouble = error
        raise trouble

    def _addresses(self, deadline_s: float) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
        """Ask for the host's addresses in a thread that may be left behind."""
        answers: queue.SimpleQueue[list[tuple[socket.AddressFamily, tuple[object, ...]]] | OSError] = (
            queue.SimpleQueue()
        )

        def ask() -> None:
            try:
                found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                answers.put([(each[0], each[4]) for each in found])
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else SourceLostError("the host's name is not valid"))

        threading.Thread(target=ask, name="name lookup", daemon=True).start()
        while not self._interrupted:
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=_LOOK_S)
                if isinstance(answer, OSError):
                    raise answer
                return answer
            if time.monotonic() > deadline_s:
                raise TimeoutError
        raise ConnectionAbortedError("interrupted")

    def _connect(self, made: socket.socket, address: tuple[object, ...], deadline_s: float) -> None:
        with contextlib.suppress(BlockingIOError):
            made.connect(address)
            return
        self._wait(made, _WRITE, deadline_s)
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _encrypted(self, made: socket.socket, tls: ssl.SSLContext, deadline_s: float) -> ssl.SSLSocket:
        secure = tls.wrap_socket(made, server_hostname=self._host, do_handshake_on_connect=False)
        self._socket = secure
        self._repeat(secure, secure.do_handshake, _READ, deadline_s)
        return secure

    def send(self, data: bytes, deadline_s: float) -> None:
        """Send all of it; raises as `open` does."""
        connected = self.open(deadline_s)
        left = memoryview(data)
        while left:
            part = left
            left = left[self._repeat(connected, lambda part=part: connected.send(part), _WRITE, deadline_s) :]  # type: ignore[misc]

    def receive_into(self, buffer: memoryview, deadline_s: float) -> int:
        """Put what there is into `buffer`; return how many bytes, 0 at the end; raises as `open` does."""
        connected = self.open(deadline_s)
        return self._repeat(connected, lambda: connected.recv_into(buffer), _READ, deadline_s)

    def read(self, timeout_s: float) -> bytes:
        buffer = bytearray(CHUNK)
        return bytes(buffer[: self.read_into(memoryview(buffer), timeout_s)])

    def read_into(self, get_buffer: memoryview, timeout_s: float) -> int:
        return self.receive_into(get_buffer, time.monotonic() + timeout_s)

    def _repeat(self, connected: socket.socket, step: Callable[[], Done], event: int, deadline_s: float) -> Done:
        """Take a step, again and again whenever the socket is ready for it, until it is done."""
        while True:
            if self._interrupted:
                raise ConnectionAbortedError("interrupted")
            try:
                return step()
            except (BlockingIOError, ssl.SSLWantReadError) as error:
                wanted = _READ if isinstance(error, ssl.SSLWantReadError) else event
            except ssl.SSLWantWriteError:
                wanted = _WRITE
            self._wait(connected, wanted, deadline_s)

    def _wait(self, connected: socket.socket, event: int, deadline_s: float) -> None:
        poll = select.poll()
        poll.register(connected, event)
        poll.register(self._woken, _READ)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000)}
        if self._woken in ready:
            raise ConnectionAbortedError("interrupted")
        if not ready:
            raise TimeoutError

    def interrupt(self) -> None:
        """Let a step under way, and all later ones, fail at once."""
        self._interrupted = True
        os.write(self._wake, b"!")

    def close(self) -> None:
        self._drop()
        os.close(self._woken)
        os.close(self._wake)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
