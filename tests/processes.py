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


def _catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal, by the mask in /proc."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line for line in status if line.startswith("SigCgt")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)
