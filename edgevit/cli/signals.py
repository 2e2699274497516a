"""Signals as requests: Ctrl-C and SIGTERM to end after the work in hand, SIGHUP to open the model anew."""

import contextlib
import os
import queue
import signal
import socket
import threading
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
    """Ask `stop` at the first SIGINT or SIGTERM; the second one acts at once.

    Python's own handlers run in the main thread alone, and not while that is in C code, as in a model that hangs: a
    thread hears of the signals too.
    """
    handled = threading.Event()

    def ask() -> None:
        handled.set()
        for number in ENDING:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        stop.ask()

    def hear(heard: socket.socket) -> None:
        asked = False
        while numbers := heard.recv(64):
            for number in numbers:
                if number not in ENDING:
                    continue
                if asked and not handled.is_set():
                    os._exit(128 + number)
                asked = True
                stop.ask()

    heard, told = socket.socketpair()
    told.setblocking(False)
    thread = threading.Thread(target=hear, args=[heard], name="signals", daemon=True)
    thread.start()
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        with call_on_signals(ENDING, ask):
            yield
    finally:
        signal.set_wakeup_fd(wakeup)
        told.close()
        thread.join()
        heard.close()


@contextlib.contextmanager
def reload_on_sighup() -> "Iterator[queue.SimpleQueue[None] | None]":
    """Give a queue that gets an item at each SIGHUP; None with a terminal, which says with it that it is gone."""
    if _has_terminal():
        yield None
        return
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()
    with call_on_signals((signal.SIGHUP,), lambda: asked.put(None)):
        yield asked


def _has_terminal() -> bool:
    """Tell whether this process belongs to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
