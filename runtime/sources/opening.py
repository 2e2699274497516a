"""From a source to its frames: finite ones in order, live ones through a Live."""

import importlib
import queue
import random
from collections.abc import Generator

from edgevit.errors import EdgevitError, OptionError
from edgevit.runtime.events.event import Event
from edgevit.runtime.sources.camera_settings import WHITE_BALANCES, CameraSettings
from edgevit.runtime.sources.files import file_frames
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import Kind, Source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import CAMERAS, FINITE, SourceOptions
from edgevit.runtime.sources.raw import RawForm
from edgevit.runtime.sources.stdin import connect as connect_stdin
from edgevit.runtime.sources.stdin import stdin_frames, stdin_kind
from edgevit.runtime.sources.stop import Stop
from edgevit.system.platforms import require_linux

Item = Frame | Event | EdgevitError
"""A frame, what happened to the source, or why a file gave no frame."""

LIVE_INSTEAD = "give files here, and run it on the board"
"""What to do where no camera or stream can be read."""
PICAM_ROW = 64
"""Bytes to which a Raspberry Pi's camera aligns the rows of a frame."""

CONNECT: dict[Kind, str] = {
    "camera": "edgevit.runtime.sources.capture",
    "rtsp": "edgevit.runtime.sources.capture",
    "picam": "edgevit.runtime.sources.picam",
    "http": "edgevit.runtime.sources.web",
    "tcp": "edgevit.runtime.sources.network",
}
"""Kind of a live source to the module whose `connect(source, reading)` opens it; imported only when used."""


def check_reading(source: Source, source_options: SourceOptions) -> None:
    """Check that this system reads such a source, and the source heeds each option that is given.

    Args:
        source: what is to be read.
        source_options: how.

    Raises:
        OptionError: an option that this kind of source does not heed.
        UnsupportedSystemError: a camera or stream, and this is not Linux.
    """
    if source.kind in CONNECT:
        require_linux(f"the source is {source.name}; a camera or stream", LIVE_INSTEAD)
    if source_options.raw is not None and source.kind == "picam":
        _check_picam(source_options.raw, source_options)
    elif source_options.raw is not None and source.kind not in ("stdin", "tcp"):
        raise OptionError(
            f"--raw describes frames on stdin, tcp:// or picam, but the source is {source.name}; leave it out"
        )
    if source_options.capture_size is not None and source.kind not in CAMERAS:
        raise OptionError(f"--capture is for cameras, but the source is {source.name}; leave it out")
    if source_options.settings != CameraSettings() and source.kind not in CAMERAS:
        raise OptionError(
            f"--exposure, --white-balance and --focus are for cameras, but the source is {source.name}; leave them out"
        )
    if source.kind == "picam" and isinstance(source_options.settings.white_balance, int):
        raise OptionError(
            f"--white-balance is a number, but picam takes a kind of light: auto, {', '.join(WHITE_BALANCES)}"
        )
    if source.kind in FINITE:
        source_options.check_files(f"the source is {source.name}")


def _check_picam(raw: RawForm, source_options: SourceOptions) -> None:
    if raw.format != "yuvj420":
        raise OptionError(
            f"picam gives raw frames as yuvj420, not {raw.format}; write --raw {raw.width}x{raw.height}:yuvj420"
        )
    if raw.width % PICAM_ROW:
        raise OptionError(
            f"--raw is {raw.width} pixels wide, but picam pads rows that are no multiple of {PICAM_ROW}; "
            "try 640x480, 1280x720 or 1920x1080, or leave --raw out for MJPEG"
        )
    if source_options.capture_size is not None:
        raise OptionError("--raw and --capture both give picam a size; leave --capture out")


def open_items(
    source: Source, source_options: SourceOptions, stop: Stop, clock: Clock, draw: random.Random
) -> Live | Generator[Item, None, None]:
    """Open a source; the caller closes what is returned.

    Raises:
        ImageError: nothing is there (now, or at the first item).
        OptionError: stdin holds what ends, and an option is for cameras and streams.
    """
    if source.kind in CONNECT:
        return open_live(source, source_options, stop, clock, draw)
    held = stdin_kind(source_options, stop) if source.kind == "stdin" else "paths"
    if held == "pictures":
        return Live(source, connect_stdin, source_options, stop, clock, draw)
    if source.kind == "stdin" and held != "nothing":
        source_options.check_files("stdin holds a list of paths" if held == "paths" else "stdin is a file")
    finite = {"file": stdin_frames, "paths": file_frames, "nothing": _no_frames}
    return finite[held](source, source_options, clock, stop)


def open_live(
    source: Source,
    source_options: SourceOptions,
    stop: Stop,
    clock: Clock,
    draw: random.Random,
    bell: "queue.SimpleQueue[None] | None" = None,
) -> Live:
    """Open a camera or stream, whose kind is in CONNECT; see Live for the bell."""
    connect = importlib.import_module(CONNECT[source.kind]).connect
    return Live(source, connect, source_options.suited_to(source.kind), stop, clock, draw, bell)


def _no_frames(source: Source, source_options: SourceOptions, clock: Clock, stop: Stop) -> Generator[Frame, None, None]:
    yield from ()
