"""A file of lines that begins anew each day, and when it is large, and keeps so many of its predecessors."""

import codecs
import contextlib
import datetime
import itertools
import logging
import os
import re
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.system.files import make_folders

log = logging.getLogger(__name__)

SIZE = 10_000_000
"""Bytes after which a file begins anew."""
KEEP = 30
"""Predecessors that are kept."""
WRONG = datetime.timedelta(days=1)
"""A clock that is set back by more was wrong before: the file's day is then what it says now."""


ANY_LINE = re.compile("")
_MOST = 4096
"""Bytes of a first line that are looked at, beside a header."""


class RotatingFile:
    """Lines, each written whole or not at all.

    Only if the machine stops in between, one is cut, at the end of the file; the next start begins a new line.
    """

    def __init__(
        self, path: Path, size: int = SIZE, keep: int = KEEP, header: str = "", first: re.Pattern[str] = ANY_LINE
    ) -> None:
        """Open for appending.

        Args:
            path: NAME.SUFFIX; its predecessors are NAME-2026-11-20.SUFFIX, NAME-2026-11-20.2.SUFFIX and so on.
            size: bytes after which it begins anew.
            keep: predecessors to keep; older ones are deleted, and before them those of days that have not come yet.
            header: first line of each file; none if empty. A file that begins with another is put aside, and never
                deleted.
            first: how the first line of each file begins where there is no header. Files of the names of predecessors
                that begin otherwise are somebody else's, and never deleted.

        Raises:
            OutputError: the file cannot be written.
        """
        self.path, self._size, self._keep, self._header = path, size, keep, header
        self._first = re.compile(rf"{re.escape(header)}$") if header else first
        self._cut, self._fits, self._others_told = False, True, False
        self._length, self._day = 0, datetime.date.min
        try:
            self._open()
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}; choose another place after --to") from error

    def write_line(self, line: str, wall_s: float) -> None:
        """Append a line, of the day of wall_s by this machine's clock.

        Raises:
            OSError: the disk does not take it.
        """
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        day = datetime.date.fromtimestamp(wall_s)
        if not self._is_there():
            self._reopen()
        if self._day - day > WRONG:
            self._day = day
        # a clock that is set back a little changes nothing: days only count upwards
        if self._length and (not self._fits or day > self._day or self._length + len(data) > self._size):
            self._rotate(day)
        if not self._length:
            self._day = day
            if self._header:
                self._append(self._header.encode() + b"\n")
        self._append(data)

    def flush(self) -> None:
        if not self._file.closed:  # as it is where it could not be opened anew
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk was said before
            self.flush()
        self._file.close()

    def _open(self) -> None:
        make_folders(self.path.parent)
        self._file = self.path.open("a+b", buffering=0)
        self._length = self._file.seek(0, 2)
        self._day = datetime.date.fromtimestamp(self.path.stat().st_mtime)
        if self._length:
            self._file.seek(-1, 2)
            self._cut = self._file.read(1) != b"\n"
        self._fits = not self._length or not self._header or self._is_own(self.path)

    def _reopen(self) -> None:
        """Open the path anew; the old file stays open if that fails, so that the next line can try again."""
        old = self._file
        self._open()
        old.close()

    def _is_there(self) -> bool:
        """Tell whether the path still leads to the open file: somebody may have moved or deleted it."""
        try:
            return not self._file.closed and self.path.stat().st_ino == os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _append(self, data: bytes) -> None:
        begun, was_cut = self._length, self._cut
        if self._cut:
            data = b"\n" + data
        self._cut = True
        try:
            while data:
                written = self._file.write(data) or 0
                self._length += written
                data = data[written:]
        except OSError:
            # a disk that was full in the middle of a line: take it back
            with contextlib.suppress(OSError):
                self._file.truncate(begun)
                self._length, self._cut = begun, was_cut
            raise
        self._cut = False

    def _rotate(self, today: datetime.date) -> None:
        number = 1 + max((number for day, number, _ in self._predecessors() if day == str(self._day)), default=0)
        name = f"{self.path.stem}-{self._day}{f'.{number}' if number > 1 else ''}{self.path.suffix}"
        # a day that has not come yet is of a clock that was wrong; such a file must not take the place of a newer one
        newest = str(max(today, self._day))
        if not self._fits:
            log.warning("%s has other columns; it is put aside as %s, and begins anew", self.path, name)
        # Windows renames no file that is open
        self._file.close()
        try:
            self.path.replace(self.path.with_name(name))
        finally:
            self._open()
        found = self._predecessors()
        is_own = [self._is_own(path) for *_, path in found]
        self._tell_others([path for (*_, path), own in zip(found, is_own, strict=True) if not own])
        own = itertools.compress(found, is_own)
        kept = sorted(own, key=lambda found: (found[0] <= newest, found))
        for _, _, path in kept[: -self._keep]:
            path.unlink(missing_ok=True)

    def _tell_others(self, others: list[Path]) -> None:
        """Say once that files of predecessors' names are not deleted; of a table it was said when it was put aside."""
        if others and not self._header and not self._others_told:
            text = "%s: %s begins as no file of edgevit does; it is not deleted, nor are others of that kind"
            log.warning(text, self.path, others[0].name)
            self._others_told = True

    def _is_own(self, path: Path) -> bool:
        """Tell whether a file is of this kind: as it was written, or as a spreadsheet saved it."""
        try:
            with path.open("rb") as file:
                first = file.readline(_MOST + 4 * len(self._header))
        except OSError:
            return False
        line = first.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n").decode("utf-8", "replace")
        return self._first.match(line) is not None

    def _predecessors(self) -> list[tuple[str, int, Path]]:
        """Return (day, number, path) of the files that this one was, oldest first."""
        base, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        pattern = re.compile(rf"{base}-(\d{{4}}-\d\d-\d\d)(?:\.(\d+))?{suffix}", re.ASCII)
        found = [(match, path) for path in self.path.parent.iterdir() if (match := pattern.fullmatch(path.name))]
        return sorted((match[1], int(match[2] or 1), path) for match, path in found)
