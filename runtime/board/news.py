"""When a status is told: at once if something happened, else now and then; and the file that it is told in."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgevit.errors import OutputError
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.board.status import BoardStatus, write_status

FILE_S = 10.0
"""How often the file is written where nothing happens."""
LOOK_S = 1.0
"""How often to look whether something happened."""

log = logging.getLogger(__name__)


class StatusNews:
    """A report as one listener hears it. For one thread."""

    def __init__(self, report: BoardReport, period_s: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Tell of a report every `period_s` seconds, and whenever something happens."""
        self._report, self._period_s, self._now_s = report, period_s, monotonic_s
        self._told: tuple[Any, ...] | None = None
        self._told_s = 0.0

    def next(self, *, anyway: bool = False) -> BoardStatus | None:
        """Return the status if it is due, or is asked for anyway; None if there is nothing to tell."""
        facts, now_s = self._report.facts(), self._now_s()
        if not anyway and facts == self._told and now_s - self._told_s < self._period_s:
            return None
        self._told, self._told_s = facts, now_s
        return self._report.status()


class StatusFile:
    """A thread that keeps a file up to date; trouble with it is logged once, and ends no run."""

    def __init__(self, path: Path, report: BoardReport) -> None:
        """Write the first status, in a folder that is made if it is missing, and start.

        Raises:
            OutputError: it cannot be written there.
        """
        self._path, self._report, self._failed = path, report, False
        self._news = StatusNews(report, FILE_S)
        self._over = threading.Event()
        self._write(anyway=True, make_folder=True)
        self._thread = threading.Thread(target=self._run, name="edgevit status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the last status, and end the thread."""
        self._over.set()
        self._thread.join()
        self._write_or_say(anyway=True)

    def _write(self, *, anyway: bool, make_folder: bool = False) -> None:
        if (status := self._news.next(anyway=anyway)) is not None:
            write_status(self._path, status, make_folder=make_folder)

    def _write_or_say(self, *, anyway: bool = False) -> None:
        try:
            self._write(anyway=anyway)
        except OutputError as error:
            if not self._failed:
                log.error("%s", error)
            self._failed = True
        else:
            self._failed = False

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            self._write_or_say()
