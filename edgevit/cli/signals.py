"""Ctrl-C and SIGTERM as a request to end after the work in hand."""

import contextlib
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
