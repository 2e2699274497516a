"""What a JPEG 2000 file says about itself before it is decoded: its size, and whether its data is there."""

from dataclasses import dataclass

from edgevit.runtime.images.boxes import find_box

_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_START, _TILE_PART, _END = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"
_HOLE = bytes(4096)
"""No compressed picture holds so many zeros: they are what a disk has where nothing was written."""


@dataclass(frozen=True)
class Jpeg2000Facts:
    """Sizes are in pixels."""

    height: int
    width: int
    components: int
    depth: int
    """Bits of a level."""
    complete: bool


def jpeg2000_facts(data: bytes) -> Jpeg2000Facts | None:
    """Read the main header of a JP2 file or a bare codestream (ISO/IEC 15444-1, A.5.1); None if it is neither."""
    start, end = 0, len(data)
    if data.startswith(_SIGNATURE):
        box = find_box(data, 0, len(data), b"jp2c")
        # a box that is cut off is not found
        start = data.find(_START) if box is None else box.start
        end = len(data) if box is None else box.end
    if start < 0 or data[start : start + 4] != _START or end - start < 46:
        return None
    sides = [int.from_bytes(data[start + 8 + 4 * i : start + 12 + 4 * i]) for i in range(4)]
    components, depth = int.from_bytes(data[start + 40 : start + 42]), 1 + (data[start + 42] & 0x7F)
    return Jpeg2000Facts(
        max(0, sides[1] - sides[3]), max(0, sides[0] - sides[2]), components, depth, _is_complete(data, start, end)
    )


def _is_complete(data: bytes, start: int, end: int) -> bool:
    """Walk the main header and from one part of a tile to the next; the last must be followed by the end's marker."""
    place = start + 2
    while data[place : place + 2] != _TILE_PART:
        if place + 4 > end or data[place] != 0xFF:
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    first = place
    while data[place : place + 2] == _TILE_PART:
        length = int.from_bytes(data[place + 6 : place + 10])
        if length == 0:
            # up to the end of the codestream: the last part
            place = end - 2
            break
        place += max(length, 12)
    return place + 2 <= end and data[place : place + 2] == _END and data.find(_HOLE, first, place) < 0
