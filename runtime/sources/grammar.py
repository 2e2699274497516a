"""The grammar of sources: what a user types to what has to be opened; docs/sources.md describes it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from edgevit.errors import OptionError, UnknownNameError
from edgevit.runtime.addresses.address import Address, login_from, parse_address, resolve, scheme_of
from edgevit.schema import is_whole

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

NUMBER = re.compile(r"%0?([0-9]*)d")
"""The place of the number in an image sequence's pattern, as in img_%04d.jpg."""

_LOGIN = re.compile(r"[^./][^@]*:.*@", re.DOTALL)
"""How a user and a password begin, of an address whose scheme is missing or damaged."""
_CAMERA = re.compile(r"camera:(.*)", re.DOTALL)
_UDEV = re.compile(r"(?:usb|pci|platform)-[^/]+")
"""How the names in /dev/v4l/by-id and by-path begin: with the bus that a camera is at."""
_NO_CAMERAS = ("/dev/fd/", "/dev/shm/", "/dev/stdin")  # noqa: S108 (where files may lie, none of which is made here)
_PICAM = re.compile(r"picam(?::(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A source that is named but not yet opened."""

    kind: Kind
    address: str = field(repr=False)
    """What its reader opens: a path, the number, path or udev name of a device, a URL with its password."""
    name: str
    """What may be shown: as typed, without a password or anything else that may be one."""
    url: Address | None = None
    """The parts of a URL; None of anything else."""

    @property
    def parts(self) -> Address:
        """The parts of a URL, for readers of nothing else."""
        if self.url is None:
            raise TypeError(f"{self.name} is no URL")
        return self.url


def parse_source(text: str, environment: Mapping[str, str] = os.environ) -> Source:
    """Read the name of a source; looks at the text and the environment's secrets, never at disks or networks.

    A path may turn out to be a file, a folder or a pattern when it is opened.

    Args:
        text: as typed; "secret:NAME" for what the secret NAME holds.
        environment: where secrets are: EDGEVIT_SOURCE_USER and EDGEVIT_SOURCE_PASSWORD for an address without a login.

    Raises:
        OptionError: it is no source, an address that lacks something, or a secret that cannot be read.
        UnknownNameError: its scheme is not one of SCHEMES.
    """
    text = resolve(text, "the source", environment)
    if not text or "\0" in text:
        raise OptionError(
            f"the source is {text!r}; give a file, a folder, a camera or an address (see docs/sources.md)"
        )
    if text == "-":
        return Source("stdin", text, "stdin")
    if (scheme := scheme_of(text)) is not None:
        return _address(text, scheme, environment)
    if _LOGIN.match(text) and not PurePath(text).drive:  # Windows' C:
        raise OptionError(
            "the source looks like an address with a password but without its beginning, such as rtsp://; "
            "if it is a file, write ./ before its name"
        )
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
    if not is_whole(number):
        raise OptionError(f"the source is {text!r}, expected {expected}")
    return str(int(number))


def _address(text: str, scheme: str, environment: Mapping[str, str]) -> Source:
    if scheme not in SCHEMES:
        raise UnknownNameError("kind of address", f"{scheme}://", [f"{name}://" for name in SCHEMES])
    kind = SCHEMES[scheme]
    url = parse_address(text, "the source", f"{scheme}://192.168.1.20{':8888' if kind == 'tcp' else ''}")
    if kind == "tcp" and url.port is None:
        raise OptionError(f"{url.shown} names no port; expected something like tcp://{url.host}:8888")
    # told apart by what was typed, whoever logs in
    name = url.shown
    url = url if kind == "tcp" else login_from(environment, "EDGEVIT_SOURCE", url)
    return Source(kind, url.full, name, url)
