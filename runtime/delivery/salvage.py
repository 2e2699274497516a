"""Records out of a damaged spool: each page of the file is read by itself, and what its checksum vouches for is kept.

https://www.sqlite.org/fileformat.html
"""

import mmap
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
"""Bytes."""
_LEAF = 0x0D
_LOCAL = PAGE - 35
"""Bytes of a row that lie in its own page; a longer one goes on in a chain of others."""
_SHORTEST = (PAGE - 12) * 32 // 255 - 23
_LOG_HEADER, _FRAME_HEADER = 32, 24
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
    log: bytes | mmap.mmap
    newest: dict[int, int]
    """Number of a page to where the log has it last."""

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.table) - PAGE + 1, PAGE):
            yield self.table[start : start + PAGE]
        for start in range(_LOG_HEADER + _FRAME_HEADER, len(self.log) - PAGE + 1, _FRAME_HEADER + PAGE):
            yield self.log[start : start + PAGE]

    def at(self, number: int) -> Iterator[bytes]:
        """Yield what the page of this number, from 1, may hold: the log's newest, then the table's."""
        if (start := self.newest.get(number)) is not None:
            yield self.log[start : start + PAGE]
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
            # a page of ours begins with its kind; the first one is SQLite's own
            if page[0] == _LEAF:
                yield from _rows(page, pages, unchecked)


def _open(path: Path, leaving: ExitStack) -> _Pages:
    found: list[bytes | mmap.mmap] = []
    for each in (path, Path(f"{path}-wal")):
        if not each.exists() or not each.stat().st_size:
            found.append(b"")
            continue
        file = leaving.enter_context(each.open("rb"))
        found.append(leaving.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    table, log = found
    newest = {}
    for start in range(_LOG_HEADER, len(log) - PAGE - _FRAME_HEADER + 1, _FRAME_HEADER + PAGE):
        # frames of earlier rounds have another salt
        if log[start + 8 : start + 16] == log[16:24]:
            newest[int.from_bytes(log[start : start + 4], "big")] = start + _FRAME_HEADER
    return _Pages(table, log, newest)


def _rows(page: bytes, pages: _Pages, unchecked: int) -> Iterator[Row]:
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
