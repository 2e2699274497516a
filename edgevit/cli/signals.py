"""Signals as requests: what to do at one, for as long as a command does its work."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevit.runtime.sources.stop import Stop

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a service manager ends a process with."""


@contextlib.contextmanager
def call_on_signals(numbers: Sequence[signal.Signals], action: Callable[[], None]) -> Iterator[None]:
    """Call `action` at each of the signals, and give them back to their former handlers at the end.

    The action runs between any two instructions of the main thread: it must take no lock.
    """

    def act(number: int, frame: FrameType | None) -> None:
        action()

    before = {number: signal.signal(number, act) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_on_signals(stop: "Stop") -> Iterator[None]:
    """Ask `stop` at the first SIGINT or SIGTERM; the second one acts at once."""

    def ask() -> None:
        for number in ENDING:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        stop.ask()

    with call_on_signals(ENDING, ask):
        yield
