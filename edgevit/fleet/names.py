"""What channels and models of a site may be called: the same in addresses, on FAT, in path patterns."""

from pathlib import PurePath

from edgevit.errors import OptionError
from edgevit.runtime.update.enrollment import CHANNEL, MODEL, SUFFIXES

TOP = ("root", "targets", "snapshot", "timestamp")
"""What The Update Framework itself calls its documents; no channel can be called so."""


def check_channel(name: str, option: str = "--channel") -> str:
    """Return the name of a channel if it can be one.

    Raises:
        OptionError: it holds other characters, or is reserved.
    """
    if not CHANNEL.fullmatch(name) or name in TOP:
        raise OptionError(
            f"{option} is {name!r}, expected small letters, digits, - and _, such as stable"
            + (f"; {', '.join(TOP)} are taken" if name in TOP else "")
        )
    return name


def check_name(name: str) -> str:
    """Return the name that a model has on the boards, if it can be one.

    Raises:
        OptionError: it has no suffix of a model, or holds characters that an address or a disk changes.
    """
    if not MODEL.fullmatch(name) or PurePath(name).suffix not in SUFFIXES:
        raise OptionError(f"the model's name is {name!r}, expected letters, digits, . - and _, such as farm.onnx")
    return name


def check_percent(percent: int) -> int:
    """Return the share of boards that a rollout is for.

    Raises:
        OptionError: it is no share.
    """
    if not 1 <= percent <= 100:
        raise OptionError(f"--percent is {percent}, expected 1 to 100")
    return percent
