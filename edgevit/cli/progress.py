"""The progress of a long loop, on stderr."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import click

from edgevit.cli.signals import call_on_signals
from edgevit.text import printable

SHOW_CURSOR = b"\x1b[?25h\n"


def track(items: Iterable[Any], label: str, count: int) -> Iterator[Any]:
    """Show the progress of a loop as a bar; nothing without a terminal, where it would be a line without an end."""
    if not sys.stderr.isatty():
        yield from items
        return
    with (
        _cursor_given_back(),
        click.progressbar(items, length=count, label=printable(label), file=sys.stderr) as bar,
    ):
        yield from bar


@contextlib.contextmanager
def _cursor_given_back() -> Iterator[None]:
    """Show the cursor again, which a bar hides, where SIGTERM ends the process without a word to Python."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end() -> None:
        # the file object may be in the middle of a write
        os.write(sys.stderr.fileno(), SHOW_CURSOR)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)

    with call_on_signals((signal.SIGTERM,), end):
        yield
