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

https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

PAGE = 4096
"""Bytes."""
_APPLICATION = 0x65766974
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS record"
    " (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, channel TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT OR IGNORE INTO counter VALUES ('dropped', 0)",
)


def open_file(path: Path, log_pages: int) -> sqlite3.Connection:
    """Open or make a spool's file; a damaged one is put aside and a new one made.

    Args:
        path: in a folder that exists.
        log_pages: pages after which the log is emptied into the table.

    Raises:
        sqlite3.Error: it cannot be written, or is in use.
    """
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, log_pages)
    except sqlite3.DatabaseError as error:
        connection.close()
        if not is_damage(error):
            raise
        return replace_file(path, log_pages, error)
    return connection


def replace_file(path: Path, log_pages: int, error: sqlite3.Error) -> sqlite3.Connection:
    """Put a damaged file aside, whose connection is closed, and make a new one."""
    aside = path.with_name(f"{path.name}.damaged")
    log.error("%s is damaged (%s); moved to %s, starting a new one", path, error, aside)
    path.replace(aside)
    Path(f"{path}-wal").unlink(missing_ok=True)
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    _set_up(connection, log_pages)
    return connection


def is_damage(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) in _DAMAGE


def explain(path: Path, error: Exception) -> str:
    """Return one line about why a spool cannot be opened, and what to do."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return (
            f"the spool {path} is in use by another edgevit; stop that one, or choose another folder with --spool DIR"
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"the spool {path} cannot be written: {reason}; choose a folder that can be written with --spool DIR"


def _set_up(connection: sqlite3.Connection, log_pages: int) -> None:
    run = connection.execute
    run(f"PRAGMA page_size = {PAGE}")
    run("PRAGMA locking_mode = EXCLUSIVE")
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = NORMAL")
    run(f"PRAGMA wal_autocheckpoint = {log_pages}")
    run(f"PRAGMA journal_size_limit = {log_pages * PAGE}")
    run("BEGIN IMMEDIATE")
    # a full disk must not keep a run from starting and from delivering what is stored: write only into a new file
    if run("PRAGMA application_id").fetchone() != (_APPLICATION,):
        for statement in (*_TABLES, f"PRAGMA application_id = {_APPLICATION}"):
            run(statement)
    run("COMMIT")
    # most damage shows where the queue begins and ends
    for end in ("min", "max"):
        run(f"SELECT {end}(seq) FROM record").fetchone()
