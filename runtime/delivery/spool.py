"""Records that wait for a network, on disk: first in, first out, within a quota, one file for each destination."""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevit.errors import OutputError
from edgevit.runtime.delivery.spool_file import PAGE, explain, is_damage, open_file, replace_file

log = logging.getLogger(__name__)

SMALLEST_QUOTA = 256 * 1024
"""In bytes; below, little else than SQLite's own pages would fit."""


@dataclass(frozen=True)
class Stored:
    """A record that waits."""

    seq: int
    """Its place in the queue."""
    id: str
    channel: str
    """What kind of record it is, preceded by its region and a slash if it has one."""
    body: bytes


@dataclass(frozen=True)
class SpoolCounts:
    """How a spool is doing."""

    waiting: int
    """Records that are stored and not delivered."""
    dropped: int
    """Oldest records given up for the quota, since the file was made."""
    unsaved: int
    """Records that the disk did not take, since the start of this process."""
    bytes: int
    """Size of the table; the log comes on top, and is part of the quota."""


class Spool:
    """A queue on disk. All methods may be called from any thread; one process at a time."""

    def __init__(self, path: Path, quota: int, quiet_s: float = 60.0) -> None:
        """Open or make the file `path`.

        Args:
            path: the file.
            quota: bytes that it and its log may take, at least SMALLEST_QUOTA.
            quiet_s: how long the disk must take records before trouble counts as over, and new trouble is said.

        Raises:
            OutputError: the folder cannot be written, or another process uses the file.
        """
        self.path = path
        # a log of at most an eighth, or of SQLite's usual 1000 pages
        self._log_pages = min(1000, max(8, quota // PAGE // 8))
        self._room = max(quota, SMALLEST_QUOTA) - 2 * self._log_pages * PAGE
        self._lock = threading.Lock()
        self._unsaved = 0
        self._quiet_s = quiet_s
        self._failed_s: float | None = None
        self._delivered = 0
        self._counted = SpoolCounts(0, 0, 0, 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = open_file(path, self._log_pages)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(explain(path, error)) from error
        self._next = self._ends()[1] + 1

    def put(self, identity: str, channel: str, body: bytes) -> bool:
        """Append a record; return False if the disk does not take it, which is logged once until it does again."""
        with self._lock:
            try:
                dropped = self._insert_or_clear(identity, channel, body)
            except sqlite3.Error as error:
                self._unsaved += 1
                self._note_failure(error)
                return False
            if self._failed_s is not None and time.monotonic() - self._failed_s >= self._quiet_s:
                log.warning("%s takes records again; %d were lost so far", self.path, self._unsaved)
                self._failed_s = None
        if dropped:
            self._note_dropped(dropped)
        return True

    def oldest(self, count: int) -> list[Stored]:
        """Return the first `count` records that were not removed.

        Raises:
            sqlite3.Error: the disk cannot be read.
        """
        with self._lock:
            question = "SELECT seq, id, channel, body FROM record WHERE seq > ? ORDER BY seq LIMIT ?"
            try:
                return [Stored(*row) for row in self._connection.execute(question, (self._delivered, count))]
            except sqlite3.Error as error:
                if is_damage(error):
                    self._clear(error)
                raise

    def remove(self, upto: int) -> None:
        """Remove all records whose seq is at most `upto`; remembered in memory only as long as the disk is full."""
        with self._lock:
            self._delivered = max(upto, self._delivered)
            try:
                self._connection.execute("DELETE FROM record WHERE seq <= ?", (self._delivered,))
            except sqlite3.Error as error:
                self._clear(error)
                self._note_failure(error)

    def sync(self) -> None:
        """Flush what was stored to the disk; a loss of power cannot reach it then."""
        # the folder too: it holds the name of the log
        for path in (f"{self.path}-wal", self.path.parent):
            with contextlib.suppress(FileNotFoundError):  # no log: nothing was stored since the start
                file = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)

    def counts(self) -> SpoolCounts:
        """Count; once closed, or where the disk cannot be read, return what was counted before."""
        with self._lock:
            with contextlib.suppress(sqlite3.Error):
                (first, last), dropped = self._ends(), self._number("SELECT value FROM counter WHERE name = 'dropped'")
                waiting = last - max(first - 1, self._delivered) if last else 0
                self._counted = SpoolCounts(max(0, waiting), dropped, self._unsaved, self._used())
            return self._counted

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _insert_or_clear(self, identity: str, channel: str, body: bytes) -> int:
        try:
            return self._insert(identity, channel, body)
        except sqlite3.Error as error:
            self._clear(error)
        return self._insert(identity, channel, body)

    def _insert(self, identity: str, channel: str, body: bytes) -> int:
        """Append a record, and make room for it first; return how many were dropped for it."""
        if len(body) + 2 * PAGE > self._room:
            raise sqlite3.DataError(f"a record of {len(body)} bytes is larger than the quota")
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        dropped = 0
        while self._used() + len(body) + 2 * PAGE > self._room and (gone := self._drop()):
            dropped += gone
        if dropped:
            run("UPDATE counter SET value = value + ? WHERE name = 'dropped'", (dropped,))
        run("INSERT INTO record VALUES (?, ?, ?, ?)", (self._next, identity, channel, body))
        run("COMMIT")
        self._next += 1
        return dropped

    def _drop(self) -> int:
        """Delete the oldest record, and if there are many a few more, so that not each new one has to."""
        first, last = self._ends()
        many = 1 + (last - first) // 64
        return self._connection.execute("DELETE FROM record WHERE seq < ?", (first + many,)).rowcount

    def _used(self) -> int:
        return (self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")) * PAGE

    def _ends(self) -> tuple[int, int]:
        # two look-ups: SQLite answers min and max from the index only if each is asked for alone
        first, last = (self._number(f"SELECT ifnull({end}(seq), 0) FROM record") for end in ("min", "max"))
        return first, last

    def _number(self, question: str) -> int:
        row: Sequence[Any] = self._connection.execute(question).fetchone()
        return int(row[0])

    def _clear(self, error: sqlite3.Error) -> None:
        """Undo what was begun, and make what room there is without dropping anything."""
        with contextlib.suppress(sqlite3.Error, OSError):  # whoever called tells of the first error
            if is_damage(error):
                self._connection.close()
                self._connection = replace_file(self.path, self._log_pages, error)
                return
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            # empty the log into the table, so that its own room can be used again
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")

    def _note_failure(self, error: sqlite3.Error) -> None:
        if self._failed_s is None:
            log.error("%s cannot take a record: %s; what is stored is kept, make room there", self.path, error)
        self._failed_s = time.monotonic()

    def _note_dropped(self, dropped: int) -> None:
        total = self.counts().dropped
        # said at the first, the tenth, the hundredth ...: a day's outage must not fill the log as well
        if len(str(total)) > len(str(total - dropped)) or total == dropped:
            log.warning("%s is at its quota; the oldest %d records so far were dropped", self.path, total)
