"""The rows of an archive: one file that only grows, to which a run that was killed can be resumed."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from edgevit.errors import OutputError
from edgevit.system.files import lock, make_folders


class RowFile:
    """Lines of JSON, of which each picture has all or none, however a run ends."""

    def __init__(self, path: Path, *, resume: bool, several: bool) -> None:
        """Open for appending, and take back what was half written.

        Args:
            path: the file.
            resume: go on after its rows; else it must be empty.
            several: a picture may have more than one row, so that the rows of the last one may be incomplete.

        Raises:
            OutputError: it cannot be written, has rows and is not to be resumed, or another run writes it.
        """
        self.path, self.written = path, 0
        self.done: set[str] = set()
        """The pictures that have rows from earlier runs."""
        try:
            make_folders(path.parent)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}; choose another place after --to") from error
        try:
            if not lock(self._file.fileno()):
                raise OutputError(f"{path} is being written by another run; wait for its end, or choose another file")
            size = os.fstat(self._file.fileno()).st_size
            if size and not resume:
                raise OutputError(f"{path} has rows already; add --resume to go on after them, or choose another file")
            if size:
                # the rows of millions of pictures, read as one would read any text
                with path.open("rb") as rows:
                    self.done, size = _read_rows(path, rows, several=several)
                self._file.truncate(size)
            self._size = size
        except BaseException:
            self._file.close()
            raise

    def write(self, rows: Sequence[str]) -> None:
        """Append the rows of a picture, ASCII each.

        Raises:
            OutputError: the disk does not take them; then none of them is there.
        """
        data = memoryview("".join(f"{row}\n" for row in rows).encode("ascii"))
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}; free some space, and go on with --resume"
            ) from error
        self._size += written
        self.written += len(rows)

    def close(self) -> None:
        """Bring the rows to where a loss of power cannot reach them."""
        with contextlib.suppress(OSError):  # not every place can be flushed
            os.fsync(self._file.fileno())
        self._file.close()


def _read_rows(path: Path, file: BinaryIO, *, several: bool) -> tuple[set[str], int]:
    """Return the pictures that have all their rows, and how many bytes at the beginning of the file these are."""
    done: set[str] = set()
    whole = begun = 0
    last: str | None = None
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            break
        source = _source(path, number, line)
        if source != last:
            last, begun = source, whole
        if source is not None:
            done.add(source)
        whole += len(line)
    if several and last is not None:
        done.discard(last)
        return done, begun
    return done, whole


def _source(path: Path, number: int, line: bytes) -> str | None:
    """Return the picture that a row is about; None of an event."""
    try:
        row = json.loads(line)
        source = row["source"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"line {number} of {path} is no row of `edgevit run`; take it out, or choose another file"
        ) from error
    return source if isinstance(source, str) and "event" not in row else None
