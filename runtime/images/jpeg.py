"""What a JPEG says about itself before it is decoded: its size, and whether its end is there."""

from dataclasses import dataclass

_START, _END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which holds the size (ITU-T T.81, table B.1)."""
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a length."""


@dataclass(frozen=True)
class JpegFacts:
    height: int
    """In pixels, as stored: before the EXIF orientation is applied."""
    width: int
    complete: bool
    """Whether an end-of-image marker follows the picture's data."""


def jpeg_facts(data: bytes) -> JpegFacts | None:
    """Walk the segments of a JPEG; None if the bytes are not one."""
    if data[:2] != _START:
        return None
    height = width = 0
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and position + 9 <= len(data):
            height = int.from_bytes(data[position + 5 : position + 7])
            width = int.from_bytes(data[position + 7 : position + 9])
        if marker == _START_OF_SCAN:
            # within a scan 0xFF is always followed by 0 or a restart marker, so this cannot be picture data
            return JpegFacts(height, width, data.find(_END_OF_IMAGE, position) >= 0)
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return JpegFacts(height, width, complete=False)
