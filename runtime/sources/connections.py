"""An open live source: what gives pictures, however the bytes come."""

import time
from typing import Protocol

from edgevit.errors import OptionError
from edgevit.runtime.sources.raw import RawPicture
from edgevit.runtime.sources.streams import ByteStream

LivePicture = bytes | RawPicture
"""The bytes of a JPEG, or a raw frame: comparing two of them tells a repeated picture."""

_H264 = (b"\0\0\0\1", b"\0\0\1")


class Connection(Protocol):
    """Read and closed by one thread, interrupted by any."""

    @property
    def on_demand(self) -> bool:
        """Whether it is to be read only when a picture is wanted."""

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        """Return the pictures that came, at least one, oldest first; None at an end that is no loss, as of a pipe.

        Raises:
            TimeoutError: no whole picture came in time.
            OSError: the source went away; a SourceLostError if it is known why.
        """

    def interrupt(self) -> None:
        """Make a read under way, and all later ones, return at once, or fail."""

    def close(self) -> None:
        """Free it."""


class Splitter(Protocol):
    """Cuts a stream of bytes into pictures."""

    def feed(self, data: bytes) -> "list[bytes] | list[RawPicture]":
        """Take what was read; return the pictures that are now complete."""


class StreamConnection:
    """Pictures cut from a stream of bytes."""

    on_demand = False

    def __init__(self, stream: ByteStream, splitter: Splitter, name: str, *, ends: bool = False) -> None:
        """Cut `stream` with `splitter`; `ends` if its end is no loss."""
        self._stream = stream
        self._splitter = splitter
        self._name = name
        self._ends = ends
        self._started = False

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            data = self._stream.read(left_s)
            if not data and self._ends:
                return None
            if not data:
                raise ConnectionError("the other side closed the connection")
            if not self._started and data.startswith(_H264):
                raise OptionError(f"{self._name} sends H.264, not MJPEG; with rpicam-vid, add --codec mjpeg")
            self._started = True
            if pictures := self._splitter.feed(data):
                return list(pictures)
        raise TimeoutError

    def interrupt(self) -> None:
        self._stream.interrupt()

    def close(self) -> None:
        self._stream.close()
