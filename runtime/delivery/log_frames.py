"""The frames of SQLite's write-ahead log, and those of them that SQLite leaves out, as their checksums are a chain.

https://www.sqlite.org/fileformat.html#the_write_ahead_log
"""

import struct
from dataclasses import dataclass

PAGE = 4096
"""Bytes."""
_LOG_HEADER, _FRAME_HEADER = 32, 24
_WORD = (1 << 32) - 1


@dataclass(frozen=True)
class Frame:
    """A page as a commit wrote it."""

    number: int
    """Which page of the table it is, from 1."""
    start: int
    """Where the page begins in the log."""
    is_commit: bool
    """It is the last one of its commit."""
    is_whole: bool
    """Its checksum, which goes on from that of the frame before it, is right."""


def page_starts(log: bytes) -> dict[int, int]:
    """Return where pages begin in the log, those of earlier rounds too, and their numbers in the table."""
    starts = range(_LOG_HEADER + _FRAME_HEADER, len(log) - PAGE + 1, _FRAME_HEADER + PAGE)
    return {start: int.from_bytes(log[start - _FRAME_HEADER : start - _FRAME_HEADER + 4], "big") for start in starts}


def read_frames(log: bytes) -> list[Frame]:
    """Return the frames of the log's last round up to its last commit, in order.

    Those of earlier rounds have another salt. What follows the last commit is one that was cut short: nobody was told
    that it was done.
    """
    salt = log[16:24] if _is_header_whole(log) else log[_LOG_HEADER + 8 : _LOG_HEADER + 16]
    found, committed = list[Frame](), 0
    for start, number in page_starts(log).items():
        header = log[start - _FRAME_HEADER : start]
        if header[8:16] == salt:
            found.append(Frame(number, start, any(header[4:8]), _is_frame_whole(log, start)))
            committed = len(found) if found[-1].is_commit else committed
    return found[:committed]


def left_out(log: bytes) -> list[Frame]:
    """Return the frames that SQLite leaves out though they were committed: it reads none after a damaged one."""
    frames, read, is_chain = read_frames(log), 0, _is_header_whole(log)
    for count, (frame, start) in enumerate(zip(frames, page_starts(log), strict=False), 1):
        is_chain = is_chain and frame.start == start and frame.is_whole
        if is_chain and frame.is_commit:
            read = count
    return frames[read:]


def _is_header_whole(log: bytes) -> bool:
    return len(log) >= _LOG_HEADER and _checksum(log, log[:24], bytes(8)) == log[24:32]


def _is_frame_whole(log: bytes, start: int) -> bool:
    begin = start - _FRAME_HEADER
    # the first frame goes on from the log's header, which ends with a checksum as well
    before = log[24:32] if begin == _LOG_HEADER else log[begin - PAGE - 8 : begin - PAGE]
    return _checksum(log, log[begin : begin + 8] + log[start : start + PAGE], before) == log[begin + 16 : start]


def _checksum(log: bytes, data: bytes, before: bytes) -> bytes:
    """Return the checksum of data that goes on from another one, in the byte order that the log's header tells."""
    first, second = struct.unpack(">II", before)
    for even, odd in struct.iter_unpack(">II" if log[3] & 1 else "<II", data):
        first = first + even + second & _WORD
        second = second + odd + first & _WORD
    return struct.pack(">II", first, second)
