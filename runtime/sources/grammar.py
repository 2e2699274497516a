"""The grammar of sources: what a user types to what has to be opened; docs/sources.md describes it."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal
from urllib.parse import urlsplit

from edgevit.errors import OptionError, UnknownNameError

Kind = Literal["path", "video", "sequence", "stdin", "camera", "picam", "rtsp", "http", "tcp"]

SCHEMES: dict[str, Kind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "http",
    "https": "http",
    "tcp": "tcp",
}
"""Scheme of an address to the kind of its source."""

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".h264", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"),
)
"""Files that are read as videos, in any case of letters."""

NUMBER = re.compile(r"%0?(\d*)d")
"""The place of the number in an image sequence's pattern, as in img_%04d.jpg."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CAMERA = re.compile(r"camera:(.*)", re.DOTALL)
_UDEV = re.compile(r"(?:usb|pci|platform)-[^/]+")
"""How the names in /dev/v4l/by-id and by-path begin: with the bus that a camera is at."""
_NO_CAMERAS = ("/dev/fd/", "/dev/shm/", "/dev/stdin")  # noqa: S108 (where files may lie, none of which is made here)
_PICAM = re.compile(r"picam(?::(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A source that is named but not yet opened."""

    kind: Kind
    address: str
    """What its reader opens: a path, the number, path or udev name of a device, a URL with its password."""
    name: str
    """What may be shown: as typed, without a password."""


def parse_source(text: str) -> Source:
    """Read the name of a source; looks at the text alone, never at disks or networks.

    A path may turn out to be a file, a folder or a pattern when it is opened.

    Raises:
        OptionError: it is no source, or an address that lacks something.
        UnknownNameError: its scheme is not one of SCHEMES.
    """
    if not text or "\0" in text:
        raise OptionError(
            f"the source is {text!r}; give a file, a folder, a camera or an address (see docs/sources.md)"
        )
    if text == "-":
        return Source("stdin", text, "stdin")
    if match := _ADDRESS.match(text):
        return _address(text, match[1].lower())
    if match := _CAMERA.fullmatch(text):
        return Source("camera", _camera_name(text, match[1]), text)
    if text.startswith("/dev/") and not text.startswith(_NO_CAMERAS):
        return Source("camera", text, text)
    if match := _PICAM.fullmatch(text):
        return Source("picam", _camera_number(text, match[1] or "0", "picam or picam:1"), text)
    if NUMBER.search(PurePath(text).name):
        return Source("sequence", text, text)
    return Source("video" if is_video(text) else "path", text, text)


def is_video(path: str | PurePath) -> bool:
    """Tell a video file from an image by its suffix."""
    return PurePath(path).suffix.lower() in VIDEO_SUFFIXES


def _camera_name(text: str, name: str) -> str:
    """Return a number, a path of a device, or a name that udev gives cameras."""
    if name.startswith("/dev/") and len(name) > len("/dev/") or _UDEV.match(name):
        return name
    return _camera_number(text, name, "camera:0 or /dev/video0, or a name that `edgevit doctor` lists")


def _camera_number(text: str, number: str, expected: str) -> str:
    # isdecimal alone would take digits of other scripts
    if not (number.isascii() and number.isdecimal()):
        raise OptionError(f"the source is {text!r}, expected {expected}")
    return str(int(number))


def _address(text: str, scheme: str) -> Source:
    if scheme not in SCHEMES:
        raise UnknownNameError("kind of address", f"{scheme}://", [f"{name}://" for name in SCHEMES])
    if not text.isprintable() or " " in text:
        raise OptionError(f"{without_password(text)!r} holds a space or control character; write a space as %20")
    kind = SCHEMES[scheme]
    try:
        parts = urlsplit(text)
        host, port, password = parts.hostname, parts.port, parts.password
    except ValueError as error:
        raise OptionError(f"{without_password(text)} is not an address: {error}") from error
    if not host:
        raise OptionError(f"{without_password(text)} names no host; expected something like {scheme}://192.168.1.20")
    if kind == "tcp" and port is None:
        raise OptionError(f"{without_password(text)} names no port; expected something like tcp://{host}:8888")
    return Source(kind, text, text if password is None else without_password(text))


def without_password(address: str) -> str:
    """Return an address whose password, if it holds one, is ***; also for one that is not well formed."""
    return re.sub(r"(?<=://)([^/?#@:]*):[^/?#]*@", r"\1:***@", address)
