"""An open live source: what gives pictures, however the bytes come."""

import time
from typing import Protocol

from edgevit.errors import OptionError
from edgevit.runtime.sources.mjpeg import JpegSplitter
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import RawCutter, RawPicture
from edgevit.runtime.sources.streams import ByteStream, RoomyStream

LivePicture = bytes | RawPicture
"""The bytes of a JPEG, or a raw frame: comparing two of them tells a repeated picture."""

_H264 = (b"\0\0\0\1", b"\0\0\1")


class Connection(Protocol):
    """Read and closed by one thread, interrupted by any.

    What takes time, such as reaching a server, is done by the first read, so that all of it can be interrupted.
    """

    @property
    def on_demand(self) -> bool:
        """Whether it is to be read only when a picture is wanted."""

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        """Return the pictures that came, oldest first; None at an end that is no loss, as of a pipe.

        An empty list says that the connection stands, but that no picture came yet.

        Raises:
            TimeoutError: no whole picture came in time.
            OSError: the source went away; a SourceLostError if it is known why.
        """

    def interrupt(self) -> None:
        """Make a read under way, and all later ones, return at once, or fail."""

    def close(self) -> None:
        """Free it."""


class FrameParser(Protocol):
    """Cuts a stream into frames whose size is known, which are read where they stay: a raw frame is large to copy."""

    def get_buffer(self) -> memoryview:
        """Return where the next bytes of the stream belong; never empty."""

    def buffer_updated(self, count: int) -> RawPicture | None:
        """Take note of what was read into the room; return the frame that is now complete."""


class FrameConnection:
    """Raw frames cut from a stream of bytes."""

    on_demand = False

    def __init__(self, stream: RoomyStream, cutter: FrameParser, *, ends: bool = False) -> None:
        """Cut `stream` with `cutter`; `ends` if its end is no loss."""
        self._stream = stream
        self._cutter = cutter
        self._ends = ends

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            count = self._stream.read_into(self._cutter.get_buffer(), left_s)
            if not count and self._ends:
                return None
            if not count:
                raise ConnectionError("the other side closed the connection")
            if (picture := self._cutter.buffer_updated(count)) is not None:
                return [picture]
        raise TimeoutError

    def interrupt(self) -> None:
        self._stream.interrupt()

    def close(self) -> None:
        self._stream.close()


class StreamConnection:
    """JPEG pictures cut from a stream of bytes."""

    on_demand = False

    def __init__(self, stream: ByteStream, name: str, *, ends: bool = False) -> None:
        """Find the pictures in `stream`; `ends` if its end is no loss."""
        self._stream = stream
        self._splitter = JpegSplitter()
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
                raise OptionError(f"{self._name} sends H.264, not MJPEG; with rpicam-vid, add `--codec mjpeg`")
            self._started = True
            if pictures := self._splitter.feed(data):
                return list(pictures)
        raise TimeoutError

    def interrupt(self) -> None:
        self._stream.interrupt()

    def close(self) -> None:
        self._stream.close()


def cut_stream(
    stream: RoomyStream, source_options: SourceOptions, name: str, *, ends: bool = False
) -> StreamConnection | FrameConnection:
    """Return MJPEG from a stream, or raw frames if they are described; `ends` if its end is no loss."""
    if source_options.raw is None:
        return StreamConnection(stream, name, ends=ends)
    return FrameConnection(stream, RawCutter(source_options.raw), ends=ends)
