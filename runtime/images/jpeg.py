"""What a JPEG says about itself before it is decoded: its size, how it is turned, and whether its end is there."""

import re
from dataclasses import dataclass, field

from edgevit.runtime.images.tiff_tags import exif_orientation

_START = b"\xff\xd8"
_END_OF_IMAGE, _START_OF_SCAN, _APPLICATION_1 = 0xD9, 0xDA, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which holds the size (ITU-T T.81, table B.1)."""
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a length."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Within a scan 0xFF is followed by 0 or a restart marker, so that this ends it."""
_EXIF = b"Exif\x00\x00"
_MOST_SEGMENTS = 10_000


@dataclass(frozen=True)
class JpegFacts:
    """Sizes are in pixels, as stored: before the Exif orientation is applied."""

    height: int
    width: int
    complete: bool
    """Whether all that the picture is made of is there, as far as can be told without decoding it."""
    orientation: int = 1
    """The orientation that Exif tells, 1..8."""
    end: int = 0
    """Where the end-of-image marker stands."""


@dataclass
class _Walk:
    """What was found so far."""

    height: int = 0
    width: int = 0
    orientation: int = 1
    progressive: bool = False
    components: int = 0
    segments: int = 0
    scans: int = 0
    bits_left: dict[tuple[int, int], int] = field(default_factory=dict)
    """Component and frequency of a progressive picture to the number of low bits that no scan has given yet."""


def jpeg_facts(data: bytes) -> JpegFacts | None:
    """Walk the segments of a JPEG; None if the bytes are not one."""
    if data[:2] != _START:
        return None
    found, position = _Walk(), 2
    while position + 2 <= len(data) and found.segments <= _MOST_SEGMENTS:
        if data[position] != 0xFF:
            # libjpeg looks for the next marker too
            position = data.find(b"\xff", position)
            if position < 0:
                break
            continue
        marker = data[position + 1]
        if marker == _END_OF_IMAGE:
            return _facts(found, position)
        if marker == 0xFF or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        found.segments += 1
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        _take(found, marker, data[position + 4 : end])
        position = end
        if marker == _START_OF_SCAN:
            after = _AFTER_SCAN.search(data, position)
            if after is None:
                break
            position = after.start()
    return JpegFacts(found.height, found.width, complete=False, orientation=found.orientation)


def _facts(found: _Walk, end: int) -> JpegFacts:
    whole = found.scans > 0
    if found.progressive:
        expected = 64 * found.components
        whole = len(found.bits_left) == expected and not any(found.bits_left.values())
    return JpegFacts(found.height, found.width, whole, found.orientation, end)


def _take(found: _Walk, marker: int, content: bytes) -> None:
    """Note what a segment says."""
    if marker in _FRAMES and len(content) >= 6 and not found.scans:
        found.height, found.width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
        found.progressive, found.components = marker in _PROGRESSIVE, content[5]
    elif marker == _APPLICATION_1 and content.startswith(_EXIF) and found.orientation == 1:
        found.orientation = exif_orientation(content[len(_EXIF) :])
    elif marker == _START_OF_SCAN:
        found.scans += 1
        count = content[0] if content else 0
        if found.progressive and len(content) >= 4 + 2 * count:
            first, last, low = content[1 + 2 * count], content[2 + 2 * count], content[3 + 2 * count] & 15
            for component in content[1 : 1 + 2 * count : 2]:
                found.bits_left |= {(component, frequency): low for frequency in range(first, min(last, 63) + 1)}
