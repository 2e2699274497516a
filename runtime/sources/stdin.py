"""Stdin: a list of paths, MJPEG or raw frames, told apart by the first bytes."""

import os
import select
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

from edgevit.errors import OptionError
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.sources.streams import CHUNK, PipeStream
from edgevit.system.platforms import SYSTEM, require_linux

_BINARY = (b"\xff", b"\0")
"""How JPEG and H.264 begin, and no path does."""

FOR_EVER_S = 1000.0
"""How long to wait for a path before doing the same again, in seconds."""
LOOK_S = 0.2
"""How often to look whether the end is asked for while nothing has come yet, in seconds."""


def stdin_kind(source_options: SourceOptions, stop: Stop) -> Literal["paths", "pictures", "file", "nothing"]:
    """Wait for the first bytes, and tell what stdin holds; "file" is pictures that all are there already.

    "nothing" if it ends, or the end is asked for, before anything came.

    Raises:
        OptionError: it holds something else, such as a PNG, or there is none.
        UnsupportedSystemError: it holds pictures, and this is not Linux.
    """
    buffer = _stdin_bytes()
    if buffer is None:
        return "paths"
    # Windows cannot wait for a pipe; there Ctrl-C ends the wait
    while SYSTEM != "win32" and not select.select([buffer], [], [], LOOK_S)[0]:
        if stop.asked:
            return "nothing"
    first = buffer.peek(1)
    if source_options.raw is None and not first.startswith(_BINARY):
        # as in the first bytes of PNG, WebP, GIF, BMP and TIFF, and in no path
        if b"\0" in first:
            raise OptionError(
                "stdin holds neither paths, one a line, nor JPEGs or H.264; give other pictures by their names"
            )
        return "paths" if first else "nothing"
    require_linux("stdin holds pictures, not paths; reading them", "give files, or the paths of files")
    return "file" if stat.S_ISREG(os.fstat(buffer.fileno()).st_mode) else "pictures"


def _stdin_bytes() -> Any | None:
    """Return stdin as bytes; None where it is text without a descriptor, which a program has put in its place.

    Raises:
        OptionError: there is none, as of a program that was started with it closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise OptionError("the source is stdin (-), which is closed; give files, a camera or an address")
    buffer = getattr(sys.stdin, "buffer", None)
    try:
        return None if buffer is None or buffer.fileno() < 0 else buffer
    except OSError:
        return None


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Read pictures from stdin; its end is no loss."""
    buffer: Any = sys.stdin.buffer
    # what stdin_kind has looked at is missing from the descriptor
    stream = PipeStream(buffer.fileno(), buffer.read1(CHUNK))
    return cut_stream(stream, source_options, source.name, ends=True)


def stdin_frames(
    source: Source, source_options: SourceOptions, clock: Clock, stop: Stop
) -> Generator[Frame, None, None]:
    """Yield all pictures of a file that is redirected to stdin, in order."""
    if source_options.pace.interval_s is not None:
        raise OptionError("a file on stdin has no time; leave out --every and --fps")
    connection = connect(source, source_options)
    try:
        index = 0
        while not stop.asked and (pictures := connection.read(source_options.stall_s)) is not None:
            for picture in pictures:
                moment = Moment(source.name, index, clock.monotonic_s(), clock.wall_s())
                yield Frame(picture, moment, stored=isinstance(picture, bytes))
                index += 1
    finally:
        connection.close()


def stdin_paths(stop: Stop) -> Generator[Path, None, None]:
    """Yield the paths on stdin, one a line, as they come; end when the end is asked for, even amid a line.

    They are read as bytes, since the name of a file need not be text in this machine's encoding.
    """
    buffer = _stdin_bytes()
    if buffer is None or SYSTEM == "win32":  # which cannot wait for a pipe and a request at once
        for line in map(os.fsdecode, buffer or sys.stdin):
            if stop.asked:
                return
            if path := line.rstrip("\r\n"):
                yield Path(path)
        return
    stream, held = PipeStream(buffer.fileno(), buffer.peek(1) and buffer.read1(CHUNK)), b""
    stop.listen(stream.interrupt)
    try:
        while not stop.asked:
            try:
                data = stream.read(FOR_EVER_S)
            except TimeoutError:
                continue
            if stop.asked:  # what was read is cut off amid a line
                return
            *lines, held = (held + data).split(b"\n") if data else (held, b"")
            yield from (Path(os.fsdecode(name)) for line in lines if (name := line.rstrip(b"\r\n")))
            if not data:
                return
    finally:
        stop.unlisten(stream.interrupt)
        stream.close()
