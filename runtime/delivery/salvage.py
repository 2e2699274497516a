"""Records out of a damaged spool: each page of the file is read by itself, and what its checksum vouches for is kept.

https://www.sqlite.org/fileformat.html
"""

import mmap
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edgevit.runtime.delivery.log_frames import PAGE, Frame, left_out, page_starts, read_frames

_LEAF = 0x0D
_LOCAL = PAGE - 35
"""Bytes of a row that lie in its own page; a longer one goes on in a chain of others."""
_SHORTEST = (PAGE - 12) * 32 // 255 - 23
_COLUMNS = (4, 5)
"""How many columns the table of records has: without checksums, as it was made before, and with them."""

Row = tuple[int, bytes, bytes, bytes]
"""Place in the queue, id, channel, body."""


def checksum(seq: int, identity: bytes, channel: bytes, body: bytes) -> int:
    """Return the CRC-32 of a record and of its place in the queue."""
    return zlib.crc32(b"%d\0%d\0%d\0" % (seq, len(identity), len(channel)) + identity + channel + body)


@dataclass(frozen=True)
class _Pages:
    """The pages of a database and of its write-ahead log."""

    table: bytes | mmap.mmap
    log: bytes
    newest: dict[int, Frame]
    """Number of a page to the frame that the log has of it last."""

    def __iter__(self) -> Iterator[bytes]:
        # the whole last version of a page says what is there: those before it hold what was delivered since, too
        known = {number: frame.start for number, frame in self.newest.items() if frame.is_whole}
        for number, start in enumerate(range(0, len(self.table) - PAGE + 1, PAGE), 1):
            if number not in known:
                yield self.table[start : start + PAGE]
        for start, number in page_starts(self.log).items():
            if known.get(number, start) == start:
                yield self.log[start : start + PAGE]

    def at(self, number: int) -> Iterator[bytes]:
        """Yield what the page of this number, from 1, may hold: the log's newest, then the table's."""
        if (frame := self.newest.get(number)) is not None:
            yield self.log[frame.start : frame.start + PAGE]
        if 0 < number <= len(self.table) // PAGE:
            yield self.table[PAGE * (number - 1) : PAGE * number]


def salvage(path: Path, unchecked: int) -> Iterator[Row]:
    """Yield the records that a spool's file and its log hold whole, in no order; one may come several times.

    Args:
        path: of the file; nobody else may have it open.
        unchecked: last place in the queue up to which records may have no checksum.
    """
    with ExitStack() as leaving:
        pages = _open(path, leaving)
        for page in pages:
            yield from _rows(page, pages, unchecked)


def salvage_left_out(path: Path) -> tuple[int, list[Row]]:
    """Return how many frames of a spool's log SQLite leaves out when it opens the file, and their whole records.

    Args:
        path: of the file; nobody may have it open.
    """
    with ExitStack() as leaving:
        pages = _open(path, leaving)
        frames = left_out(pages.log)
        newest = {frame.number: frame for frame in frames}.values()
        read = newest if all(frame.is_whole for frame in newest) else frames
        found = [_rows(pages.log[frame.start : frame.start + PAGE], pages, -1) for frame in read]
        return len(frames), sorted({row[0]: row for rows in found for row in rows}.values())


def _open(path: Path, leaving: ExitStack) -> _Pages:
    table: bytes | mmap.mmap = b""
    if path.exists() and path.stat().st_size:
        file = leaving.enter_context(path.open("rb"))
        table = leaving.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    in_log = Path(f"{path}-wal")
    log = in_log.read_bytes() if in_log.exists() else b""
    newest = {frame.number: frame for frame in read_frames(log)}
    return _Pages(table, log, newest)


def _rows(page: bytes, pages: _Pages, unchecked: int) -> Iterator[Row]:
    # a page of ours begins with its kind; the first one is SQLite's own
    if page[0] != _LEAF:
        return
    count = min(int.from_bytes(page[3:5], "big"), PAGE // 4)
    for place in range(8, 8 + 2 * count, 2):
        for payload, seq in _payloads(page, int.from_bytes(page[place : place + 2], "big"), pages):
            if (row := _row(payload, seq, unchecked)) is not None:
                yield row
                break


def _payloads(page: bytes, start: int, pages: _Pages) -> Iterator[tuple[bytes, int]]:
    """Yield what the row at `start` may be, with its number: what follows its first part may be in two versions."""
    size, start = _number(page, start)
    seq, start = _number(page, start)
    if size <= _LOCAL:
        yield page[start : start + size], seq
    if size <= _LOCAL or size > len(pages.table) + len(pages.log):
        return
    local = _SHORTEST + (size - _SHORTEST) % (PAGE - 4)
    local = local if local <= _LOCAL else _SHORTEST
    first = int.from_bytes(page[start + local : start + local + 4], "big")
    for newest in (True, False):
        parts, left, number, seen = [page[start : start + local]], size - local, first, set[int]()
        while left > 0 and number not in seen and (versions := list(pages.at(number))):
            seen.add(number)
            part = versions[0 if newest else -1]
            parts.append(part[4 : 4 + left])
            left, number = left - (PAGE - 4), int.from_bytes(part[:4], "big")
        if left <= 0:
            yield b"".join(parts), seq


def _row(payload: bytes, seq: int, unchecked: int) -> Row | None:
    """Return the row if it is a record that is whole; seq is that of the table, as a row does not repeat it."""
    end, at = _number(payload, 0)
    kinds = []
    while at < min(end, 60):
        kind, at = _number(payload, at)
        kinds.append(kind)
    if len(kinds) not in _COLUMNS or kinds[0] != 0 or seq >= 1 << 62:
        return None
    values, at = [], end
    for kind in kinds[1:]:
        length = (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]
        values.append(payload[at : at + length])
        at += length
    if at != len(payload):
        return None
    identity, channel, body = values[:3]
    if len(kinds) == _COLUMNS[1]:
        known = kinds[4] - 8 if kinds[4] in (8, 9) else int.from_bytes(values[3], "big", signed=True)
        whole = known == checksum(seq, identity, channel, body)
    else:
        whole = seq <= unchecked and body.startswith(b"{") and body.endswith(b"}")
    return (seq, identity, channel, body) if whole and is_text(identity) and is_text(channel) else None


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _number(data: bytes, start: int) -> tuple[int, int]:
    """Return SQLite's variable-length number at `start`, and where it ends."""
    value = 0
    for place in range(start, start + 8):
        byte = data[place] if place < len(data) else 0
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    last = data[start + 8] if start + 8 < len(data) else 0
    return value << 8 | last, start + 9
