"""What tells this board from all others, also one whose card was copied from another's."""

import platform
import uuid
from pathlib import Path

_MACHINE = ("etc/machine-id", "var/lib/dbus/machine-id")
_SERIAL = "proc/device-tree/serial-number"


def serial_number(root: Path = Path("/")) -> str:
    """Return what the board's maker has given this one alone, which no copied card has; "" where there is none."""
    return _text(root / _SERIAL)


def board_identity(root: Path = Path("/")) -> str:
    """Return what only this board has: its machine-id and serial number, else its network card and name."""
    machine = next((text for place in _MACHINE if (text := _text(root / place))), "")
    serial = serial_number(root)
    if machine or serial:
        return f"{machine}/{serial}"
    card = uuid.getnode()
    # this bit tells that it was drawn by chance, and would be another one the next time
    return f"{platform.node()}/{'' if card >> 40 & 1 else card}"


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip("\0\n ")
    except OSError:
        return ""
