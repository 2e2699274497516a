"""Records that wait for a network, on disk: first in, first out, within a quota, one file for each destination."""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgevit.errors import OutputError
from edgevit.runtime.delivery.log_frames import PAGE
from edgevit.runtime.delivery.salvage import checksum, is_text
from edgevit.runtime.delivery.spool_file import INSERT, ROWS, explain, is_damage, open_file, replace_file
from edgevit.runtime.delivery.stored import SpoolCounts, Stored
from edgevit.system.files import make_folders

log = logging.getLogger(__name__)

SMALLEST_QUOTA = 256 * 1024
"""In bytes; below, little else than SQLite's own pages would fit."""
_SPARE = 2
"""Pages that a record takes beside those that its body fills."""
_EMPTY = 5
"""Pages of a file without records; a record that leaves less room is refused before any other is dropped for it."""
_BLOCK = 1 << 20
"""Places in the queue that are taken at once: none is given twice, and no old record is taken for a new one."""
REOPEN_S = 60.0
"""How long a damaged file that could not be replaced is left alone: each attempt reads all of it."""
_LARGEST = 1 << 62
"""Places in the queue; a larger one was changed by the disk."""
_DROPPED = "INSERT INTO counter VALUES ('dropped', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
_OLDEST = f"{ROWS} WHERE seq > ? AND seq NOT IN (SELECT seq FROM refused) ORDER BY seq LIMIT ?"


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
        self._pages = max(quota, SMALLEST_QUOTA) // PAGE
        # a log of at most an eighth, or of SQLite's usual 1000 pages
        self._log_pages = min(1000, max(8, self._pages // 8))
        self._lock = threading.Lock()
        self._unsaved = self._dropped = 0
        self._quiet_s = quiet_s
        self._failed_s: float | None = None
        self._lost_s: float | None = None
        """When it was last tried in vain to replace a damaged file; the connection is closed until that is done."""
        self._delivered = 0
        self._waiting = 0
        self._counted = SpoolCounts(0, 0, 0, 0)
        try:
            make_folders(path.parent)
            self._connection = open_file(path, self._log_pages)
            self._waiting = self._count_waiting()
            self._next = self._first_place()
        except (OSError, sqlite3.Error) as error:
            raise OutputError(explain(path, error)) from error

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
        """Return the first `count` records that were neither removed nor refused, as they were put.

        One that the disk has changed since is put aside, which is logged.

        Raises:
            sqlite3.Error: the disk cannot be read.
        """
        with self._lock:
            try:
                return self._oldest(count)
            except sqlite3.Error as error:
                if not is_damage(error) and self._lost_s is None:
                    raise
                self._clear(error)
            return self._oldest(count)

    def remove(self, upto: int) -> None:
        """Forget all records whose seq is at most `upto`, but those that were refused.

        Where the disk is full they are remembered in memory only.
        """
        with self._lock:
            self._delivered = max(upto, self._delivered)
            try:
                question = "DELETE FROM record WHERE seq <= ? AND seq NOT IN (SELECT seq FROM refused)"
                self._waiting -= self._connection.execute(question, (self._delivered,)).rowcount
            except sqlite3.Error as error:
                self._clear(error)
                self._note_failure(error)
                with contextlib.suppress(sqlite3.Error):
                    self._waiting = self._count_waiting()

    def refuse(self, stored: Stored, reason: str) -> None:
        """Keep a record that the receiver will not take, with the reason, and send it no more; the log says so."""
        with self._lock:
            self._put_aside(stored.seq, stored.id, reason)

    def refused(self, count: int) -> list[tuple[Stored, str]]:
        """Return the last `count` records that were refused and why, the newest first."""
        question = (
            "SELECT record.seq, CAST(id AS BLOB), CAST(channel AS BLOB), CAST(body AS BLOB), reason"
            " FROM refused JOIN record USING (seq) ORDER BY refused.seq DESC LIMIT ?"
        )
        with self._lock:
            rows = self._connection.execute(question, (count,)).fetchall()
        return [
            (Stored(seq, identity.decode("utf-8", "replace"), channel.decode("utf-8", "replace"), body), reason)
            for seq, identity, channel, body, reason in rows
        ]

    @property
    def lost(self) -> int:
        """Records that the disk did not take, or that were dropped for the quota, since the start of this process."""
        return self._unsaved + self._dropped

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
            self._counted = replace(self._counted, unsaved=self._unsaved)
            with contextlib.suppress(sqlite3.Error):
                dropped = self._number("SELECT (SELECT CAST(value AS INTEGER) FROM counter WHERE name = 'dropped')")
                refused = self._number("SELECT count(*) FROM refused")
                used = self._used() * PAGE
                self._counted = SpoolCounts(self._waiting, dropped, self._unsaved, used, refused)
            return self._counted

    def close(self) -> None:
        with self._lock:
            self._lost_s = None
            self._connection.close()

    def _insert_or_clear(self, identity: str, channel: str, body: bytes) -> int:
        try:
            return self._insert(identity, channel, body)
        except sqlite3.Error as error:
            self._clear(error)
        return self._insert(identity, channel, body)

    def _insert(self, identity: str, channel: str, body: bytes) -> int:
        """Append a record, and make room for it first; return how many were dropped for it."""
        pages = -(-len(body) // (PAGE - 4)) + _SPARE
        # until it is moved into the table a record stands in the log, in a page and 24 bytes for each
        in_log = max(2 * self._log_pages, _SPARE + pages + pages // 128)
        room = self._pages - in_log - pages
        if room < _EMPTY:
            raise sqlite3.DataError(f"a record of {len(body)} bytes is larger than the quota has room for")
        dropped = 0
        while self._used() > room and (gone := self._drop()):
            dropped += gone
        is_large = pages > self._log_pages
        if is_large:
            self._shrink()
            if self._number("PRAGMA page_count") + in_log > self._pages:  # a file that cannot shrink
                raise sqlite3.DataError(f"a record of {len(body)} bytes is larger than the quota has room for")
        whole = checksum(self._next, identity.encode(), channel.encode(), body)
        while not self._connection.execute(INSERT, (self._next, identity, channel, body, whole)).rowcount:
            # a damaged counter gave a place that is taken
            self._next += _BLOCK
            whole = checksum(self._next, identity.encode(), channel.encode(), body)
        self._next += 1
        self._waiting += 1
        if self._next % _BLOCK == 0:
            self._next = self._first_place()
        if is_large:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return dropped

    def _drop(self) -> int:
        """Delete the oldest record, and if there are many a few more, so that not each new one has to."""
        run = self._connection.execute
        many = 1 + self._waiting // 64
        run("BEGIN IMMEDIATE")
        last = run("SELECT max(seq) FROM (SELECT seq FROM record ORDER BY seq LIMIT ?)", (many,)).fetchone()[0]
        if last is None:
            run("COMMIT")
            return 0
        kept = run("DELETE FROM record WHERE seq <= ? AND seq IN (SELECT seq FROM refused)", (last,)).rowcount
        run("DELETE FROM refused WHERE seq <= ?", (last,))
        delivered = run("DELETE FROM record WHERE seq <= ?", (min(last, self._delivered),)).rowcount
        gone = run("DELETE FROM record WHERE seq <= ?", (last,)).rowcount
        run(_DROPPED, (gone,))
        run("COMMIT")
        self._waiting -= gone
        self._dropped += gone
        return kept + delivered + gone

    def _shrink(self) -> None:
        """Give free pages back to the disk, in steps that the log has room for."""
        free = self._number("PRAGMA freelist_count")
        while free:
            # a script, as a statement would be left after its first page
            self._connection.executescript(f"PRAGMA incremental_vacuum({max(1, self._log_pages // 2)})")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            before, free = free, self._number("PRAGMA freelist_count")
            if free == before:  # a file that was made before spools could shrink
                return
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _oldest(self, count: int) -> list[Stored]:
        unchecked = self._number("SELECT (SELECT CAST(value AS INTEGER) FROM counter WHERE name = 'unchecked')")
        after, found = self._delivered, list[Stored]()
        while not found and (rows := self._connection.execute(_OLDEST, (after, count)).fetchall()):
            for seq, identity, channel, body, whole in rows:
                known = checksum(seq, identity, channel, body) == whole or (whole is None and seq <= unchecked)
                if known and is_text(identity) and is_text(channel):
                    found.append(Stored(seq, identity.decode(), channel.decode(), body))
                else:
                    self._put_aside(seq, identity.decode("utf-8", "replace"), "the disk has changed it")
            after = rows[-1][0]
        return found

    def _put_aside(self, seq: int, identity: str, reason: str) -> None:
        try:
            question = "INSERT OR IGNORE INTO refused VALUES (?, ?, ?)"
            is_new = self._connection.execute(question, (seq, reason, time.time())).rowcount
        except sqlite3.Error as error:
            self._clear(error)
            log.error("%s: record %s is given up: %s; it cannot be kept: %s", self.path, identity, reason, error)
            return
        self._waiting -= is_new
        count = self._number("SELECT count(*) FROM refused")
        # said at the first, the tenth, the hundredth ...: all are in the file
        if is_new and set(str(count)[1:]) <= {"0"} and str(count)[0] == "1":
            log.error("%s: record %s is given up and kept: %s; %d so far", self.path, identity, reason, count)

    def _count_waiting(self) -> int:
        question = "SELECT count(*) FROM record WHERE seq > ? AND seq NOT IN (SELECT seq FROM refused)"
        return int(self._connection.execute(question, (self._delivered,)).fetchone()[0])

    def _first_place(self) -> int:
        """Return the next place in the queue, and take a block of them, so that none is ever given twice."""
        last = self._number(f"SELECT max(seq) FROM record WHERE seq < {_LARGEST}")
        taken = self._number("SELECT (SELECT CAST(value AS INTEGER) FROM counter WHERE name = 'next')")
        first = max(last + 1, taken if taken < _LARGEST else 0)
        with contextlib.suppress(sqlite3.Error):  # a full disk must not keep a run from starting
            question = "INSERT OR REPLACE INTO counter VALUES ('next', ?)"
            self._connection.execute(question, ((first // _BLOCK + 1) * _BLOCK,))
        return first

    def _used(self) -> int:
        """Return the pages that the table fills."""
        return self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")

    def _number(self, question: str) -> int:
        row: Sequence[Any] = self._connection.execute(question).fetchone()
        return int(row[0] or 0)

    def _clear(self, error: sqlite3.Error) -> None:
        """Undo what was begun, and make what room there is without dropping anything."""
        if is_damage(error) or self._lost_s is not None:
            self._replace(error)
            return
        with contextlib.suppress(sqlite3.Error):  # whoever called tells of the first error
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            # empty the log into the table, so that its own room can be used again
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")

    def _replace(self, error: sqlite3.Error) -> None:
        """Go on in a new file with what is whole of a damaged one; where that fails, try again after REOPEN_S."""
        lost_s, now_s = self._lost_s, time.monotonic()
        if lost_s is not None and now_s - lost_s < REOPEN_S:
            return
        self._lost_s = now_s
        try:
            if lost_s is None:
                first = self._delivered + 1
                self._connection = replace_file(self._connection, self.path, self._log_pages, error, first)
            else:  # the connection is closed; the file tells again whether it is damaged
                self._connection = open_file(self.path, self._log_pages)
        except (sqlite3.Error, OSError) as failure:
            if lost_s is None:
                text = "%s is damaged (%s) and cannot be replaced: %s; it is tried again every %.0f s"
                log.error(text, self.path, error, failure, REOPEN_S)
            return
        self._lost_s = None
        with contextlib.suppress(sqlite3.Error):
            self._waiting = self._count_waiting()

    def _note_failure(self, error: sqlite3.Error) -> None:
        if self._failed_s is None:
            log.error("%s cannot take a record: %s; what is stored is kept, make room there", self.path, error)
        self._failed_s = time.monotonic()

    def _note_dropped(self, dropped: int) -> None:
        total = self.counts().dropped
        # said at the first, the tenth, the hundredth ...: a day's outage must not fill the log as well
        if len(str(total)) > len(str(total - dropped)) or total == dropped:
            log.warning("%s is at its quota; the oldest %d records so far were dropped", self.path, total)
