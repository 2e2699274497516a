"""Raspberry Pi CSI cameras: the system's own program writes MJPEG to a pipe, so that no Python package is needed."""

import shutil

from edgevit.errors import MissingProgramError
from edgevit.runtime.sources.connections import StreamConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.mjpeg import JpegSplitter
from edgevit.runtime.sources.reading import Reading
from edgevit.runtime.sources.streams import ProgramStream

PROGRAMS = ("rpicam-vid", "libcamera-vid")
"""The newer name first; they take the same options."""

SIZE = (720, 1280)
"""(height, width) in pixels unless another is asked for."""


def connect(source: Source, reading: Reading) -> StreamConnection:
    """Start the camera.

    Raises:
        MissingProgramError: neither program is installed.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise MissingProgramError(
            f"picam needs {PROGRAMS[0]} or {PROGRAMS[1]}, and neither is installed; "
            "run: sudo apt install rpicam-apps (libcamera-apps before Raspberry Pi OS Bookworm)"
        )
    height, width = reading.capture_size or SIZE
    command = (program, "--camera", source.address, "--timeout", "0", "--nopreview", "--codec", "mjpeg", "--flush")
    size = ("--width", str(width), "--height", str(height))
    return StreamConnection(ProgramStream((*command, *size, "--output", "-")), JpegSplitter(), source.name)
