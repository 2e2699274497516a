"""Signals as requests: Ctrl-C and SIGTERM to end after the work in hand, SIGHUP to open the model anew."""

import contextlib
import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevit.runtime.sources.stop import Stop


@contextlib.contextmanager
def stop_on_signals(stop: "Stop") -> Iterator[None]:
    """Ask `stop` at the first SIGINT or SIGTERM; the second one acts at once.

    Python's own handlers run in the main thread alone, and not while that is in C code, as in a model that hangs: a
    thread hears of the signals too.
    """
    handled = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        handled.set()
        for each in before:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
        stop.ask()

    def hear(heard: socket.socket) -> None:
        asked = False
        while numbers := heard.recv(64):
            for number in numbers:
                if number not in (signal.SIGINT, signal.SIGTERM):
                    continue
                if asked and not handled.is_set():
                    os._exit(128 + number)
                asked = True
                stop.ask()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    heard, told = socket.socketpair()
    told.setblocking(False)
    thread = threading.Thread(target=hear, args=[heard], name="signals", daemon=True)
    thread.start()
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        told.close()
        thread.join()
        heard.close()
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
