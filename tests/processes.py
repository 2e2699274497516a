"""Processes that a test begins, and those that others have left."""

import multiprocessing
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_for


@contextmanager
def no_process_left() -> Iterator[None]:
    """Fail if processes have begun and not ended; what other tests have left is not counted."""
    before = multiprocessing.active_children()
    yield
    assert [child for child in multiprocessing.active_children() if child not in before] == []


def wait_for_handler(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process catches SIGTERM, or has ended."""
    wait_for(lambda: process.poll() is not None or _catches(process.pid, signal.SIGTERM))


def wait_for_delivery(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Wait until a process has taken a signal: one of the same number that is sent before is the same one."""
    wait_for(lambda: process.poll() is not None or not _has(process.pid, "ShdPnd", number))


def _catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal."""
    return _has(pid, "SigCgt", number)


def _has(pid: int, mask: str, number: signal.Signals) -> bool:
    """Tell whether a signal is in one of a process's masks in /proc."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = next(line for line in status if line.startswith(mask)).split()[1]
    return bool(int(found, 16) >> (number - 1) & 1)
