"""The file of a spool: SQLite, set up so that neither a kill nor a power cut can corrupt it.

Why these settings:

- A write-ahead log (`journal_mode=WAL`): a commit appends to one file, which on an SD card costs the least, and a
  commit that was cut short is recognized by its checksum and left out when the file is opened again.
- `synchronous=NORMAL`: a commit does not wait for the disk, so that a record costs tens of microseconds and not the
  5 to 50 ms of a flush on an SD card. The kernel has the record then: killing the process, with any signal, loses
  nothing. A power cut cannot corrupt the file (SQLite flushes before it moves the log into the table), but may take the
  commits that were not flushed yet; `sync` flushes the log, and the sender calls it within a second.
- `locking_mode=EXCLUSIVE`: two processes would send everything twice. It also spares the shared-memory file, which
  network file systems and some containers do not have.
- `auto_vacuum=INCREMENTAL`: only a file that can shrink has room for a large record and, until it is moved into the
  table, for the same record in the log.

What the disk itself changes is found by a look at the header and `quick_check` when the file is opened, and by a
checksum in each record. A file whose structure is damaged is kept, and its whole records go into a new one. Of a log
SQLite reads nothing from the first damaged frame on; the whole records that follow are put back.

https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import contextlib
import itertools
import logging
import sqlite3
from pathlib import Path
from typing import Any

from edgevit.runtime.delivery.log_frames import PAGE
from edgevit.runtime.delivery.salvage import Row, checksum, salvage, salvage_left_out

log = logging.getLogger(__name__)

_APPLICATION = 0x65766974
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MISSING = ("no such table", "no such column", "table record has", "duplicate column name")
"""How SQLite's texts begin where the names of tables or columns are damaged."""
_HEADER = {
    (0, 16): b"SQLite format 3\0",
    (16, 18): PAGE.to_bytes(2, "big"),
    # both 2: a write-ahead log
    (18, 20): b"\2\2",
    # nothing reserved at the end of a page; then three fixed shares
    (20, 24): b"\0\x40\x20\x20",
}
"""Bytes of the first page that are the same in each spool; changed ones make SQLite read all pages wrongly."""
_TABLES = (
    "CREATE TABLE IF NOT EXISTS record"
    " (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, channel TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER)",
    "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL, time REAL NOT NULL)",
)
_STORED = [statement.replace("IF NOT EXISTS ", "") for statement in _TABLES]
"""The tables as SQLite keeps them."""
_EARLIER = _STORED[0].replace(", sum INTEGER", "")
"""The table of records as it was made before they had checksums."""
INSERT = "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?)"


ROWS = "SELECT seq, CAST(id AS BLOB), CAST(channel AS BLOB), CAST(body AS BLOB), CAST(sum AS INTEGER) FROM record"
"""Records with their checksums, of whatever kind the disk has made their values."""
_LARGEST = 1 << 62


class DamagedError(sqlite3.DatabaseError):
    """A file is damaged in a way that SQLite does not notice by itself."""


def open_file(path: Path, log_pages: int) -> sqlite3.Connection:
    """Open or make a spool's file; of a damaged one, which is put aside, the whole records go into a new one.

    Args:
        path: in a folder that exists.
        log_pages: pages after which the log is emptied into the table.

    Raises:
        sqlite3.Error: it cannot be written, or is in use.
    """
    _finish_renaming(path)
    connection: sqlite3.Connection | None = None
    try:
        # before SQLite locks the file: closing it again would give up the lock
        _check_header(path)
        frames, rows = salvage_left_out(path)
        connection = _connect(path)
        _set_up(connection, log_pages)
        if frames:
            _put_back(connection, path, frames, rows)
    except UnicodeDecodeError as error:  # of a name that SQLite complains of
        return replace_file(connection, path, log_pages, error)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return replace_file(connection, path, log_pages, error)
        if connection is not None:
            connection.close()
        raise
    return connection


def replace_file(
    connection: sqlite3.Connection | None, path: Path, log_pages: int, error: Exception, first: int = 0
) -> sqlite3.Connection:
    """Put a damaged file aside, and open a new one with its whole records.

    Args:
        connection: to the damaged file, if there is one; it is closed, whatever happens.
        path: of the file.
        log_pages: as for open_file.
        error: how the damage showed.
        first: place in the queue from which on records are wanted; earlier ones were delivered.

    Raises:
        sqlite3.Error: the new file cannot be written.
    """
    # what was delivered may still stand in pages that are free
    oldest = _read(connection, f"{ROWS} ORDER BY seq LIMIT 1")
    first = max([first, *(seq for seq, *row, known in oldest if known == checksum(seq, *row))])
    refused = _read(connection, "SELECT seq, reason, time FROM refused")
    counters = _read(connection, "SELECT name, CAST(value AS INTEGER) FROM counter")
    # records without a checksum are believed where they were made before there was one
    unchecked = dict(counters).get("unchecked", 0) if counters else _LARGEST
    if connection is not None:
        _close_as_it_lies(connection, path)
    kept_aside = {seq for seq, *_ in refused}
    salvaged = Path(f"{path}.salvaged")
    for each in (salvaged, Path(f"{salvaged}-wal")):
        each.unlink(missing_ok=True)
    new = _connect(salvaged)
    try:
        _set_up(new, log_pages)
        for row in salvage(path, unchecked):
            if row[0] >= first or row[0] in kept_aside:
                _insert(new, row)
        new.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?, ?)", refused)
        new.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", counters)
        # all that came over has a checksum now
        new.execute("DELETE FROM counter WHERE name = 'unchecked'")
        kept = new.execute("SELECT count(*) FROM record").fetchone()[0]
    finally:
        new.close()
    aside = next(
        each
        for number in itertools.count(1)
        if not (each := path.with_name(f"{path.name}.damaged{f'-{number}' if number > 1 else ''}")).exists()
    )
    path.replace(aside)
    with contextlib.suppress(FileNotFoundError):
        Path(f"{path}-wal").replace(f"{aside}-wal")
    salvaged.replace(path)
    log.error("%s is damaged (%s); moved to %s, and %d records of it go on", path, error, aside, kept)
    connection = _connect(path)
    _set_up(connection, log_pages)
    return connection


def _finish_renaming(path: Path) -> None:
    """Do what was left undone where a process ended between two renamings."""
    if path.exists():
        return
    closing, salvaged = Path(f"{path}.closing"), Path(f"{path}.salvaged")
    if closing.exists():
        closing.replace(path)
    elif salvaged.exists():
        # the log is that of the damaged file, whose records are in the new one
        Path(f"{path}-wal").unlink(missing_ok=True)
        salvaged.replace(path)


def _close_as_it_lies(connection: sqlite3.Connection, path: Path) -> None:
    """Close a file without emptying its log into it and deleting the log, as SQLite does unless the file was moved."""
    closing = Path(f"{path}.closing")
    try:
        path.replace(closing)
    finally:
        connection.close()
    closing.replace(path)


def _put_back(connection: sqlite3.Connection, path: Path, frames: int, rows: list[Row]) -> None:
    """Store the records of those frames of the log that SQLite left out, and say what became of them."""
    told = f"{path}: SQLite leaves out {frames * PAGE} bytes of its log, as a part of them is damaged"
    try:
        connection.execute("BEGIN IMMEDIATE")
        count = sum(_insert(connection, row) for row in rows)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if is_damage(error):
            raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        log.error("%s; %d records in them cannot be kept: %s", told, len(rows), error)
        return
    with contextlib.suppress(sqlite3.Error):  # a full disk: the frames are found again at the next start
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    log.error("%s; %d records out of them go on", told, count)


def _insert(connection: sqlite3.Connection, row: Row) -> int:
    """Store a record with its checksum; return 0 if it is there."""
    seq, identity, channel, body = row
    whole = checksum(seq, identity, channel, body)
    return connection.execute(INSERT, (seq, identity.decode(), channel.decode(), body, whole)).rowcount


def _read(connection: sqlite3.Connection | None, question: str) -> list[tuple[Any, ...]]:
    """Return what a damaged file still answers."""
    try:
        return [] if connection is None else connection.execute(question).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return []


def is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    missing = code == sqlite3.SQLITE_ERROR and str(error).startswith(_MISSING)
    return isinstance(error, DamagedError) or missing or (code is not None and code & 0xFF in _DAMAGE)


def explain(path: Path, error: Exception) -> str:
    """Return one line about why a spool cannot be opened, and what to do."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return (
            f"the spool {path} is in use by another edgevit; stop that one, or choose another folder with --spool DIR"
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"the spool {path} cannot be written: {reason}; choose a folder that can be written with --spool DIR"


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    # no text of a damaged file must raise anything but what SQLite itself raises
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _check_header(path: Path) -> None:
    """Raise DamagedError if a file does not begin as a spool does; SQLite itself would take it for another's."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return
    # an empty one is new, or has all in its log
    if header and any(header[start:end] != fixed for (start, end), fixed in _HEADER.items()):
        raise DamagedError("its header is not that of a spool")


def _set_up(connection: sqlite3.Connection, log_pages: int) -> None:
    run = connection.execute
    run(f"PRAGMA page_size = {PAGE}")
    run("PRAGMA locking_mode = EXCLUSIVE")
    if run("PRAGMA page_count").fetchone() == (0,):
        # this one writes, which a full disk may not allow
        run("PRAGMA auto_vacuum = INCREMENTAL")
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = NORMAL")
    # Debian's SQLite overwrites what is deleted: twice the writing, and a log as large as all that is dropped at once
    run("PRAGMA secure_delete = OFF")
    run(f"PRAGMA wal_autocheckpoint = {log_pages}")
    run(f"PRAGMA journal_size_limit = {log_pages * PAGE}")
    run("BEGIN IMMEDIATE")
    _check_structure(connection)
    # a full disk must not keep a run from starting and from delivering what is stored: write only into a new file
    if run("PRAGMA application_id").fetchone() != (_APPLICATION,):
        for statement in (*_TABLES, f"PRAGMA application_id = {_APPLICATION}"):
            run(statement)
    stored = [text for (text,) in run("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    if _EARLIER in stored:
        run("ALTER TABLE record ADD COLUMN sum INTEGER")
        run(_TABLES[2])
        run("INSERT OR REPLACE INTO counter SELECT 'unchecked', ifnull(max(seq), 0) FROM record")
        stored = [text for (text,) in run("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    if sorted(stored) != sorted(_STORED):
        raise DamagedError("its tables are not those of a spool")
    run("COMMIT")


def _check_structure(connection: sqlite3.Connection) -> None:
    """Raise DamagedError if pages do not fit each other, or texts are said to be in another encoding."""
    told = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    encoding = connection.execute("PRAGMA encoding").fetchone()[0]
    if told != "ok" or encoding != "UTF-8":
        raise DamagedError(" ".join(told.split()) if told != "ok" else f"its encoding is {encoding}")
