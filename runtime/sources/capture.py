"""Cameras and RTSP streams that a library reads: in a process of its own, which can be killed when a read hangs."""

import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.connections import FrameConnection, LivePicture
from edgevit.runtime.sources.devices import find_device
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import LONGEST_SIDE, RawCutter, RawForm, RawPicture
from edgevit.runtime.sources.streams import ProgramStream

# the child is a script and imports nothing of edgevit, so that these two stand in both
MAGIC = b"EVF1"
HEADER = struct.Struct("<4sII")

# -P: a module beside the script must not be taken for one of the standard library
CHILD = (sys.executable, "-P", str(Path(__file__).with_name("capture_child.py")))


class CaptureCutter:
    """Cuts the frames that the child sends, each behind its header."""

    def __init__(self) -> None:
        self._header, self._held = bytearray(HEADER.size), 0
        self._body: RawCutter | None = None
        """The body of the frame whose header has come."""

    def get_buffer(self) -> memoryview:
        return memoryview(self._header)[self._held :] if self._body is None else self._body.get_buffer()

    def buffer_updated(self, count: int) -> RawPicture | None:
        """Take note of what was read into the room; return the frame that is now complete.

        Raises:
            SourceLostError: it is not what the child sends.
        """
        if self._body is not None:
            picture = self._body.buffer_updated(count)
            self._body = self._body if picture is None else None
            return picture
        self._held += count
        if self._held == HEADER.size:
            magic, height, width = HEADER.unpack(self._header)
            if magic != MAGIC or not (0 < height <= LONGEST_SIDE and 0 < width <= LONGEST_SIDE):
                raise SourceLostError("its reader sent something that is no picture")
            self._body, self._held = RawCutter(RawForm(height, width, "bgr24")), 0
        return None


class CaptureConnection(FrameConnection):
    """A child that reads a camera; if few frames are wanted it decodes and sends only those."""

    def __init__(self, stream: ProgramStream, on_demand: bool) -> None:
        super().__init__(stream, CaptureCutter())
        self._child = stream
        self.on_demand = on_demand

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        if self.on_demand:
            self._child.say(b"?")
        return super().read(timeout_s)


def connect(source: Source, source_options: SourceOptions, command: Sequence[str] = CHILD) -> CaptureConnection:
    """Start a process that reads a camera, an RTSP stream or whatever else OpenCV or picamera2 opens.

    Args:
        source: its address is the number, path or udev name of a device, or a URL.
        source_options: its size is asked for, and its stall_s limits how long opening may take.
        command: starts the process; see capture_child.py for what it must do.

    Raises:
        SourceLostError: no device has this name now.
        OptionError: the name is not that of a camera.
    """
    height, width = source_options.capture_size or (0, 0)
    settings = source_options.settings
    task = {
        "kind": source.kind,
        # looked up anew each time, as a camera may come back under another number
        "address": find_device(source.address) if source.kind == "camera" else source.address,
        "height": height,
        "width": width,
        "timeout_ms": round(source_options.stall_s * 1000),
        "on_demand": source_options.on_demand,
        "exposure_s": settings.exposure,
        "white_balance": settings.white_balance if source.kind == "picam" else settings.kelvin,
        "focus": settings.focus,
    }
    # by stdin and not as an argument, as an address may hold a password, and arguments are open to everybody
    stream = ProgramStream(command, json.dumps(task).encode() + b"\n")
    return CaptureConnection(stream, source_options.on_demand)
