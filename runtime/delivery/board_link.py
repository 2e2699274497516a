"""Between a board and a broker, beside the records: the board's status, and the question for a newer model."""

import threading
from collections.abc import Callable
from pathlib import Path

from edgevit.runtime.delivery.board_topics import BOARD, CHECK
from edgevit.runtime.delivery.broker import Broker

Status = Callable[[bool], str | None]
"""Returns the board's status as JSON if there is news, or, given True, whatever there is."""


class BoardLink:
    """What is published of the board itself: what holds now, so that nothing of it waits in a spool."""

    def __init__(self, broker: Broker, status: Status | None) -> None:
        """Publish below the broker's topic; nothing where there is no status."""
        self._broker, self._status = broker, status

    def messages(self, *, anyway: bool = False) -> list[tuple[str, bytes | str, bool]]:
        """Return what is to be published now: topic, payload, and whether the broker is to keep it."""
        text = None if self._status is None else self._status(anyway)
        return [] if text is None else [(f"{self._broker.topic}/{BOARD}", text, self._broker.retain)]

    @property
    def question(self) -> str | None:
        """The topic on which the board is asked to look for a newer model; None where it does not listen."""
        return None if self._broker.check is None else f"{self._broker.topic}/{CHECK}"

    def pass_on(self, asked: threading.Event) -> str | None:
        """Touch the file that the updater's unit watches, if the board was asked; return what is wrong with it."""
        if self._broker.check is None or not asked.is_set():
            return None
        asked.clear()
        try:
            Path(self._broker.check).touch()
        except OSError as error:
            return f"{self._broker.check} cannot be touched: {error.strerror or error}; nobody looks for a newer model"
        return None
