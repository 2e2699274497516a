"""JPEG pictures out of a stream of bytes, whatever stands between them: pipes, sockets, multipart HTTP."""

import re
from typing import Final

LIMIT: Final = 32 << 20
"""Bytes; what is longer is no picture."""

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_START_OR_END = re.compile(rb"\xff(?:\xd9|\xd8\xff)")
_START_OF_SCAN = 0xDA
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a length (ITU-T T.81, table B.1)."""
_APPLICATION = frozenset(range(0xE0, 0xF0)) | {0xFE}
"""Markers of segments that hold anything, thumbnails too."""


class JpegSplitter:
    """Finds complete JPEG pictures; skips garbage, and pictures that break off where the next begins.

    The segments of a picture's head are walked by their lengths, so that the end of a thumbnail in its EXIF data is not
    taken for its own. In a scan 0xFF is followed by 0 or a restart marker, so there the end is searched for.

    Whatever the bytes, the work is in proportion to their number: a head that proves unsound is searched for another
    start only where none of its segments has been followed by a next one.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        """Begins with a picture, or with what may become one."""
        self._walked = 0
        """Up to here the head of the picture is known to be sound; 0 before its start is found."""
        self._settled = 0
        """Up to here no other picture is looked for if this one proves to be none."""
        self._scan = False
        """Whether `_walked` is within the picture's scans."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the pictures that are now complete."""
        self._held += data
        found: list[bytes] = []
        while self._start() and self._walk_head() and self._find_end(found):
            pass
        return found

    def _start(self) -> bool:
        """Bring the start of a picture to the front."""
        if self._walked:
            return True
        at = self._held.find(_START)
        if at < 0:
            # the last two bytes may be the beginning of a start
            del self._held[: max(0, len(self._held) - (len(_START) - 1))]
            return False
        del self._held[:at]
        self._walked = self._settled = 2
        return True

    def _walk_head(self) -> bool:
        """Go from segment to segment up to the scan; True to go on, False to wait for more."""
        held = self._held
        while not self._scan:
            if self._walked > self._limit:
                return self._abandon(self._settled)
            if self._walked + 4 > len(held):
                return False
            marker = held[self._walked + 1]
            if held[self._walked] != 0xFF or marker in (0x00, 0xD8, 0xD9):
                return self._abandon(self._settled)
            if marker == 0xFF or marker in _ALONE:
                self._walked += 1 if marker == 0xFF else 2
                self._settled = self._walked
                continue
            end = self._walked + 2 + int.from_bytes(held[self._walked + 2 : self._walked + 4])
            # only application data may hold a picture; in tables, one means that the head broke off there
            application = marker in _APPLICATION
            following = -1 if application else held.find(_START, self._walked, end + 2)
            if following >= 0:
                return self._abandon(following)
            if end > len(held):
                return False
            self._settled = self._walked + 2 if application else end
            self._walked, self._scan = end, marker == _START_OF_SCAN
        return True

    def _find_end(self, found: list[bytes]) -> bool:
        """Cut the picture off if its end is there; True to go on, False to wait for more."""
        if not self._scan:  # abandoned
            return True
        found_at = _START_OR_END.search(self._held, self._walked)
        if found_at is None:
            self._walked = max(self._walked, len(self._held) - (len(_START) - 1))
            return self._abandon(self._walked) if len(self._held) > self._limit else False
        if found_at[0] == _START:
            return self._abandon(found_at.start())
        size = found_at.end()
        if size <= self._limit:
            with memoryview(self._held) as view:
                found.append(bytes(view[:size]))
        return self._abandon(size)

    def _abandon(self, size: int) -> bool:
        """Let go of the first `size` bytes, and look for a start in the rest."""
        del self._held[:size]
        self._walked, self._scan = 0, False
        return True
