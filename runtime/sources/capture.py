"""Cameras and RTSP streams that a library reads: in a process of its own, which can be killed when a read hangs."""

import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.connections import LivePicture, StreamConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.raw import LONGEST_SIDE, RawForm, RawPicture
from edgevit.runtime.sources.reading import Reading
from edgevit.runtime.sources.streams import ProgramStream

# the child is a script and imports nothing of edgevit, so that these two stand in both
MAGIC = b"EVF1"
HEADER = struct.Struct("<4sII")

# -P: a module beside the script must not be taken for one of the standard library
CHILD = (sys.executable, "-P", str(Path(__file__).with_name("capture_child.py")))


class CaptureSplitter:
    """Cuts the frames that the child sends."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[RawPicture]:
        """Take what was read; return the pictures that are now complete.

        Raises:
            SourceLostError: it is not what the child sends.
        """
        self._held += data
        found = []
        while len(self._held) >= HEADER.size:
            magic, height, width = HEADER.unpack_from(self._held)
            if magic != MAGIC or not (0 < height <= LONGEST_SIDE and 0 < width <= LONGEST_SIDE):
                raise SourceLostError("its reader sent something that is no picture")
            form = RawForm(height, width, "bgr24")
            if len(self._held) < HEADER.size + form.size:
                break
            with memoryview(self._held) as view:
                found.append(RawPicture(bytes(view[HEADER.size : HEADER.size + form.size]), form))
            del self._held[: HEADER.size + form.size]
        return found


class CaptureConnection(StreamConnection):
    """A child that reads a camera; if few frames are wanted it decodes and sends only those."""

    def __init__(self, stream: ProgramStream, name: str, on_demand: bool) -> None:
        super().__init__(stream, CaptureSplitter(), name)
        self._child = stream
        self.on_demand = on_demand

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        if self.on_demand:
            self._child.say(b"?")
        return super().read(timeout_s)


def connect(source: Source, reading: Reading, command: Sequence[str] = CHILD) -> CaptureConnection:
    """Start a process that reads a camera, an RTSP stream or whatever else OpenCV or picamera2 opens.

    Args:
        source: its address is the number or path of a device, or a URL.
        reading: its size is asked for, and its stall_s limits how long opening may take.
        command: starts the process; see capture_child.py for what it must do.
    """
    height, width = reading.capture_size or (0, 0)
    task = {
        "kind": source.kind,
        "address": source.address,
        "height": height,
        "width": width,
        "timeout_ms": round(reading.stall_s * 1000),
        "on_demand": reading.on_demand,
    }
    # by stdin and not as an argument, as an address may hold a password, and arguments are open to everybody
    stream = ProgramStream(command, json.dumps(task).encode() + b"\n")
    return CaptureConnection(stream, source.name, reading.on_demand)
