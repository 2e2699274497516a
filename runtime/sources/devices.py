"""Cameras by a name that stays: what udev calls them, and the /dev/videoN that this is at the moment."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgevit.errors import OptionError, SourceLostError
from edgevit.schema import is_whole

DEV = Path("/dev")
LINKS = ("v4l/by-id", "v4l/by-path")
"""Folders below /dev whose links name cameras: by maker and serial number, and by the socket that they are in."""
_V4L2_MAJOR = 81
_FIRST = "-video-index0"
"""Ends the name of what gives pictures; further ones of the same camera give data about them."""


def find_device(name: str, dev: Path = DEV) -> str:
    """Return what a camera's name stands for now, where that may change: the path of its device.

    Args:
        name: a number, a path below /dev, or the beginning of a name in LINKS.
        dev: the folder of devices.

    Raises:
        SourceLostError: it is not there now.
        OptionError: it is no camera, or several cameras have names that begin so.
    """
    if is_whole(name) or name.startswith("/dev/video") or ("/" in name and not name.startswith("/dev/")):
        return name
    path = Path(name) if name.startswith("/") else _by_name(name, dev)
    try:
        real = path.resolve(strict=True)
        mode, number = real.stat().st_mode, real.stat().st_rdev
    except (OSError, RuntimeError) as error:
        raise SourceLostError("it is not plugged in; `edgevit doctor` lists the cameras that are") from error
    if name.startswith("/dev/") and not (stat.S_ISCHR(mode) and os.major(number) == _V4L2_MAJOR):
        raise OptionError(f"{name} is no camera, expected a device such as /dev/video0; `edgevit doctor` lists them")
    return str(real)


def _by_name(name: str, dev: Path) -> Path:
    """Return the link whose name begins so."""
    found = [link for _, link in named_cameras(dev) if link.name.startswith(name)]
    exact = [link for link in found if name in (link.name, link.name.removesuffix(_FIRST))]
    found = exact or found
    if not found:
        raise SourceLostError("it is not plugged in; `edgevit doctor` lists the cameras that are")
    if len({link.resolve() for link in found}) > 1:
        names = ", ".join(link.name for link in found)
        raise OptionError(f"camera:{name} may be {names}; write as much of the name as tells them apart")
    return found[0]


def named_cameras(dev: Path = DEV) -> Iterator[tuple[str, Path]]:
    """Yield each link that names a camera which gives pictures, with the name of its device: "video0"."""
    for folder in LINKS:
        for link in sorted((dev / folder).glob(f"*{_FIRST}")):
            yield os.path.basename(os.path.realpath(link)), link
