"""Raspberry Pi CSI cameras: the system's own program writes to a pipe, or picamera2 in a process of its own.

Neither shares numpy with this process: picamera2 belongs to the system's Python, whose numpy is often another.
"""

import shutil
import subprocess
import sys
from dataclasses import replace

from edgevit.errors import MissingProgramError
from edgevit.runtime.sources import capture
from edgevit.runtime.sources.camera_settings import CameraSettings
from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.streams import ProgramStream

PROGRAMS = ("rpicam-vid", "libcamera-vid")
"""The newer name first; they take the same options."""

PYTHONS = (sys.executable, "/usr/bin/python3")
"""Where picamera2 is looked for: in an environment that sees the system's packages, then in the system's own Python."""

SIZE = (720, 1280)
"""(height, width) in pixels unless another is asked for."""

SLOW_FPS = 5
"""Pictures a second where few are wanted: the program compresses each of them on the processor."""

_LOOK = "import importlib.util, sys; sys.exit(importlib.util.find_spec('picamera2') is None)"
_LOOK_S = 30


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Start the camera.

    Raises:
        MissingProgramError: no program for it is installed.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is not None:
        return _from_program(program, source, source_options)
    python = next((python for python in PYTHONS if _has_picamera2(python)), None)
    if python is None:
        raise MissingProgramError(
            f"picam needs {', '.join(PROGRAMS)} or picamera2, and none of them is installed; "
            "run: sudo apt install rpicam-apps (libcamera-apps before Raspberry Pi OS Bookworm)"
        )
    # its frames are never compressed, so that those who ask for raw ones have them too
    return capture.connect(
        source, replace(source_options, capture_size=_size(source_options)), (python, *capture.CHILD[1:])
    )


def _from_program(program: str, source: Source, source_options: SourceOptions) -> Connection:
    height, width = _size(source_options)
    # both codecs carry levels of 0..255, as the program asks libcamera for JPEG's colours
    codec = "mjpeg" if source_options.raw is None else "yuv420"
    command = (program, "--camera", source.address, "--timeout", "0", "--nopreview", "--codec", codec, "--flush")
    size = ("--width", str(width), "--height", str(height))
    rate = ("--framerate", str(SLOW_FPS)) if source_options.on_demand else ()
    settings = _settings(source_options.settings)
    return cut_stream(ProgramStream((*command, *size, *rate, *settings, "--output", "-")), source_options, source.name)


def _settings(settings: CameraSettings) -> tuple[str, ...]:
    """Return the program's options for exposure, white balance and focus."""
    found: list[str] = []
    if isinstance(settings.exposure, float):
        found += ["--shutter", str(round(settings.exposure * 1e6))]
    elif settings.exposure is not None:
        found += ["--exposure", "normal"]
    if settings.white_balance is not None:
        found += ["--awb", str(settings.white_balance)]
    if isinstance(settings.focus, float):
        found += ["--autofocus-mode", "manual", "--lens-position", f"{settings.focus:g}"]
    elif settings.focus is not None:
        found += ["--autofocus-mode", "continuous"]
    return tuple(found)


def _size(source_options: SourceOptions) -> tuple[int, int]:
    raw = source_options.raw
    return source_options.capture_size or (SIZE if raw is None else (raw.height, raw.width))


def _has_picamera2(python: str) -> bool:
    try:
        found = subprocess.run((python, "-P", "-c", _LOOK), capture_output=True, timeout=_LOOK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0
