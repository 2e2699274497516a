"""Signals as requests: Ctrl-C and SIGTERM to end after the work in hand, SIGHUP to open the model anew."""

import contextlib
import os
import queue
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevit.runtime.sources.stop import Stop


@contextlib.contextmanager
def stop_on_signals(stop: "Stop") -> Iterator[None]:
    """Ask `stop` at the first SIGINT or SIGTERM; the second one acts at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
        stop.ask()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def reload_on_sighup() -> "Iterator[queue.SimpleQueue[None] | None]":
    """Give a queue that gets an item at each SIGHUP; None with a terminal, which says with it that it is gone."""
    if _has_terminal():
        yield None
        return
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.put(None)

    before = signal.signal(signal.SIGHUP, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, before)


def _has_terminal() -> bool:
    """Tell whether this process belongs to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
