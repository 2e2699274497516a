"""Bytes from a pipe or a program, with a time limit on every read and a way to interrupt it."""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from edgevit.errors import OptionError, SourceLostError

CHUNK = 1 << 18
"""Bytes asked for at once: a few JPEG pictures, a tenth of a raw 720p frame."""

PIPE = 1 << 20
"""Bytes that a program may write ahead: the most that Linux allows without more ado."""

TAIL = 2000
"""Bytes of a program's stderr that are kept to say why it ended."""

KILL_AFTER_S = 1.0
"""How long a program may take to end itself, and how long to be gone once killed."""


class ByteStream(Protocol):
    """Read and closed by one thread, interrupted by any."""

    def read(self, timeout_s: float) -> bytes:
        """Return what there is, at least one byte; nothing at the end, or once interrupted.

        Raises:
            TimeoutError: nothing came in time.
            OSError: the other side went away; a SourceLostError if it said why.
        """

    def interrupt(self) -> None:
        """Make a read under way, and all later ones, return at once."""

    def close(self) -> None:
        """Free it."""


class RoomyStream(ByteStream, Protocol):
    """One that can put what it reads where it is wanted."""

    def read_into(self, get_buffer: memoryview, timeout_s: float) -> int:
        """Put what there is into `room`, as much as fits; return how many bytes, and raise, as `read` does."""


class PipeStream:
    """A file descriptor that somebody else closes, such as stdin."""

    def __init__(self, descriptor: int, first: bytes = b"") -> None:
        """Read from a descriptor; `first` was read from it before."""
        self._descriptor = descriptor
        self._first = first
        self._woken, self._wake = os.pipe()
        # reentrant, as a signal handler may interrupt its own thread
        self._guard, self._closed = threading.RLock(), False
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def read(self, timeout_s: float) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return os.read(self._descriptor, CHUNK) if self._wait(timeout_s) else b""

    def read_into(self, get_buffer: memoryview, timeout_s: float) -> int:
        if self._first:
            count = min(len(get_buffer), len(self._first))
            get_buffer[:count], self._first = self._first[:count], self._first[count:]
            return count
        return os.readv(self._descriptor, [get_buffer]) if self._wait(timeout_s) else 0

    def _wait(self, timeout_s: float) -> bool:
        """Wait until there is something, or the end; False if interrupted."""
        ready = {descriptor for descriptor, _ in self._poll.poll(max(0.0, timeout_s) * 1000)}
        if not ready:
            raise TimeoutError
        return self._woken not in ready

    def interrupt(self) -> None:
        with self._guard:
            if not self._closed:
                os.write(self._wake, b"!")

    def close(self) -> None:
        with self._guard:
            self._closed = True
            os.close(self._woken)
            os.close(self._wake)


class ProgramStream:
    """What a program of our own writes to its stdout; it is killed when the stream is interrupted or closed.

    It leads a process group, so that what it has started goes with it.
    """

    def __init__(self, command: Sequence[str], say: bytes = b"") -> None:
        """Start a program, and write `say` to its stdin, which stays open as long as this process lives."""
        self._program = command[0]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        # a raw frame in pieces of the usual 64 kB would wake both sides dozens of times
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, PIPE)
        self._tail = b""
        self._interrupted = False
        self._poll = select.poll()
        self._woken, self._wake = os.pipe()
        for descriptor in (self._out, self._err, self._woken):
            self._poll.register(descriptor, select.POLLIN)
        self.say(say)

    def say(self, data: bytes) -> None:
        """Write a few bytes to the program's stdin."""
        assert self._process.stdin is not None
        # if it has ended, the next read tells better
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)

    def read(self, timeout_s: float) -> bytes:
        if not self._wait(timeout_s):
            return b""
        data = os.read(self._out, CHUNK)
        self._check_end(len(data))
        return data

    def read_into(self, get_buffer: memoryview, timeout_s: float) -> int:
        if not self._wait(timeout_s):
            return 0
        count = os.readv(self._out, [get_buffer])
        self._check_end(count)
        return count

    def _check_end(self, count: int) -> None:
        if count or self._interrupted:
            return
        code, words = self._last_words()
        if code == os.EX_USAGE:
            raise OptionError(words)
        raise SourceLostError(words)

    def _wait(self, timeout_s: float) -> bool:
        """Wait until there is something on stdout, or its end; False if interrupted."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            ready = {descriptor for descriptor, _ in self._poll.poll(left_s * 1000)}
            if self._woken in ready:
                return False
            if not ready or (left_s == 0 and self._out not in ready):
                raise TimeoutError
            if self._err in ready:
                self._listen()
            if self._out in ready:
                return True

    def _listen(self) -> None:
        said = os.read(self._err, CHUNK)
        self._tail = (self._tail + said)[-TAIL:]
        if not said:
            self._poll.unregister(self._err)

    def _last_words(self) -> tuple[int | None, str]:
        """Return the program's exit code and why it ended: the last line of its stderr, or the code."""
        # its stdout is closed, so that it is about to end
        code = self._end(lambda: None, self._kill)
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(self._err, False)
            # bounded, as what it has started may go on writing
            self._tail = (self._tail + os.read(self._err, PIPE))[-TAIL:]
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        words = "".join(character for character in lines[-1] if character.isprintable()) if lines else ""
        return code, words or f"{os.path.basename(self._program)} ended with code {code}"

    def _end(self, *steps: Callable[[], None]) -> int | None:
        """Take the steps until the program has ended, and kill what it has left behind; return its exit code.

        None if the kernel holds it.
        """
        for step in steps:
            step()
            if self._process.returncode is None and self._has_ended(KILL_AFTER_S):
                break
        # before its number is given back, and may be another's
        self._kill()
        return self._process.poll()

    def _has_ended(self, timeout_s: float) -> bool:
        """Wait for the program's end, but leave its number taken."""
        deadline_s = time.monotonic() + timeout_s
        while os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        return True

    def _kill(self) -> None:
        """Kill the program and all that it has started."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        self._interrupted = True
        os.write(self._wake, b"!")
        self._kill()

    def close(self) -> None:
        if self._process.returncode is None:
            self._end(self._process.terminate, self._kill)
        os.close(self._woken)
        os.close(self._wake)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
