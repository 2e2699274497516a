"""What a worker process does: open what answers, then answer what comes through its pipe until that is closed."""

import contextlib
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from edgevit.errors import EdgevitError


@dataclass(frozen=True)
class Opening:
    """What a worker begins with; it must be possible to pickle it."""

    open: Callable[..., Callable[[Any], Any]]
    """Is called once, and returns what answers an item."""
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Ready:
    """A worker is open."""


@dataclass(frozen=True)
class Answered:
    """An item's answer; in the order of the items."""

    answer: Any


@dataclass(frozen=True)
class Failed:
    """What was raised by opening or answering; the worker has ended."""

    error: Exception


def serve(pipe: Connection, opening: Opening) -> None:
    """Answer items until the other end of the pipe is closed, as it is when the process there dies."""
    # Ctrl-C in a terminal reaches all its processes, and it is the parent's to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            answer = opening.open(*opening.arguments)
        except Exception as error:
            return pipe.send(Failed(_told(error)))
        pipe.send(Ready())
        while True:
            item = pipe.recv()
            try:
                found = answer(item)
            except Exception as error:
                return pipe.send(Failed(_told(error)))
            pipe.send(Answered(found))


def _told(error: Exception) -> Exception:
    """Return an error with the place where it was raised, which would stay behind, unless it is meant for a user."""
    if not isinstance(error, EdgevitError):
        error.add_note(traceback.format_exc())
    return error
