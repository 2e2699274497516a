"""What Linux, macOS and Windows do differently, for everything that works on all three."""

import io
import os
import platform
import sys
from collections.abc import Set

from edgevit.errors import UnsupportedSystemError

SYSTEM: str = sys.platform
""""linux", "darwin" (macOS) or "win32" (Windows, of any width)."""
NAMES = {"darwin": "macOS", "win32": "Windows"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""How macOS and Windows call an architecture, in small letters, to the name that Linux has for it."""

READ_AT_ONCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags of os.open: without O_NONBLOCK, opening a pipe waits until somebody writes to it; Windows has others."""

_SCHEDULES_CORES = hasattr(os, "sched_getaffinity")


def require_linux(what: str, instead: str = "") -> None:
    """Refuse what only Linux has.

    Args:
        what: a subject with its verb, such as "`edgevit service` writes systemd units and".
        instead: what to do on this system.

    Raises:
        UnsupportedSystemError: this is another system.
    """
    if SYSTEM != "linux":
        raise UnsupportedSystemError(
            f"{what} needs Linux, and this is {NAMES.get(SYSTEM, SYSTEM)}; {instead or 'run it on the board'}"
        )


def machine_architecture() -> str:
    """Return the processor's architecture as Linux calls it, "x86_64" or "aarch64"; "32-bit" of a 32-bit process."""
    if sys.maxsize <= 2**32:
        return "32-bit"
    found = platform.machine()
    return MACHINES.get(found.lower(), found)


def fill_closed_streams() -> None:
    """Open the null device in place of each of stdin, stdout and stderr that was closed when the program began.

    Else the next file that is opened gets the number of the closed one, and what a C library prints gets into it. That
    stdin was closed can still be told: sys.stdin stays None. Writing to stdout then fails, as on a full disk, as its
    answers would reach nobody; what stderr is told, nobody wanted to hear.
    """
    if sys.stdin is None:
        _open_null(os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(_open_null(os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_open_null(os.O_WRONLY), "w", encoding="utf-8")


def _open_null(flags: int) -> int:
    number = os.open(os.devnull, flags)
    # a program that is started takes it over, as it would a stream that is open
    os.set_inheritable(number, True)
    return number


def print_in_utf8() -> None:
    """Write stdout and stderr as UTF-8 on Windows too, whose own encodings lack letters and are not what JSON is in."""
    for stream in (sys.stdout, sys.stderr):
        if SYSTEM == "win32" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")


def usable_cores() -> frozenset[int]:
    """Return the numbers of the processors that this process may use; all where the system does not say which."""
    return frozenset(os.sched_getaffinity(0) if _SCHEDULES_CORES else range(os.cpu_count() or 1))


def keep_to_cores(cores: Set[int]) -> None:
    """Have the calling thread, and those that it starts, run on these processors; nothing where that cannot be said."""
    if _SCHEDULES_CORES:
        os.sched_setaffinity(0, cores)
