"""One way to wait for what another thread or process does: for a condition, not for a time."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

GENEROUS_S = float(os.environ.get("EDGEVIT_TEST_PATIENCE_S", "300"))
"""How long anything may take on a machine that has much else to do, in seconds; only a failing test takes so long.

With planted faults many do: `make mutants` shortens it.
"""
PAUSE_S = 0.01
"""How long to wait between two looks, in seconds."""


def own_threads(*others: str) -> set[threading.Thread]:
    """Return the threads that edgevit has started in this process and that still run, and those named like others."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(("edgevit ", *others))}


@contextlib.contextmanager
def no_thread_left(*others: str) -> Iterator[None]:
    """Check that the threads of edgevit that are started meanwhile have ended; those of before are not its affair.

    A test that failed may have left some, and must not take others with it.

    Args:
        others: how the names of further threads begin that must have ended, too.
    """
    before = own_threads(*others)
    yield
    left = own_threads(*others) - before
    assert not left, f"left running: {', '.join(sorted(thread.name for thread in left))}"


def wait_for(condition: Callable[[], Any], within_s: float = GENEROUS_S) -> None:
    """Return once a condition holds.

    Threads of edgevit that have ended meanwhile will fulfil nothing more: when all have, there is one last look.

    Raises:
        AssertionError: the condition does not hold, and nothing is left that could fulfil it, or it took too long.
    """
    begun, until_s = own_threads(), time.monotonic() + within_s
    while True:
        # one alone may be what another test has left
        ended = begun if not begun & own_threads() else set[threading.Thread]()
        late = time.monotonic() >= until_s
        if condition():
            return
        assert not ended, f"waited in vain: {', '.join(sorted(thread.name for thread in ended))} has ended"
        assert not late, f"waited in vain for {within_s:g} s"
        time.sleep(PAUSE_S)
