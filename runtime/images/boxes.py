"""Files made of boxes: AVIF and HEIF (ISO/IEC 14496-12 and 23008-12), and JPEG 2000 (ISO/IEC 15444-1, annex I).

A box is its length, a name of four letters, and its content, which may be boxes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_MOST_BOXES = 10_000


@dataclass(frozen=True)
class Box:
    """A box, and where its content lies in the file."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True)
class HeifFacts:
    """What an AVIF or HEIF file says about its main picture."""

    height: int
    """In pixels, of the largest picture or tile that it holds."""
    width: int
    quarters: int = 0
    """Quarter turns to the left that set it upright."""
    mirror: bytes | None = None
    """What is done after that: b"\\0" swaps top and bottom, b"\\1" left and right."""


def read_boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two places, until one is cut off."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        length, head = int.from_bytes(data[start : start + 4]), 8
        if length == 1:
            length, head = int.from_bytes(data[start + 8 : start + 16]), 16
        elif length == 0:
            length = end - start
        if length < head or start + length > end:
            return
        yield Box(data[start + 4 : start + 8], start + head, start + length)
        start += length


def find_box(data: bytes, start: int, end: int, *path: bytes) -> Box | None:
    """Return the first box of that path of names; those named `meta` and `iref` begin with four bytes of their own."""
    for name in path:
        found = next((box for box in read_boxes(data, start, end) if box.name == name), None)
        if found is None:
            return None
        start, end = found.start + (4 if name == b"meta" else 0), found.end
    return found


def heif_facts(data: bytes) -> HeifFacts | None:
    """Return what an AVIF or HEIF file says; None if the bytes are none."""
    if data[4:8] != b"ftyp":
        return None
    properties = find_box(data, 0, len(data), b"meta", b"iprp", b"ipco")
    listed = list(read_boxes(data, properties.start, properties.end)) if properties else []
    sizes = [
        (int.from_bytes(data[box.start + 8 : box.start + 12]), int.from_bytes(data[box.start + 4 : box.start + 8]))
        for box in listed
        if box.name == b"ispe"
    ]
    height, width = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    quarters, mirror = 0, None
    for number in _own_properties(data):
        if not 1 <= number <= len(listed):
            continue
        box = listed[number - 1]
        if box.name == b"irot":
            quarters = data[box.start] & 3 if box.start < box.end else 0
        elif box.name == b"imir":
            mirror = bytes([data[box.start] & 1]) if box.start < box.end else None
    return HeifFacts(height, width, quarters, mirror)


def _own_properties(data: bytes) -> list[int]:
    """Return the numbers, from 1, of the properties that belong to the main picture (boxes `pitm` and `ipma`)."""
    main = find_box(data, 0, len(data), b"meta", b"pitm")
    owners = find_box(data, 0, len(data), b"meta", b"iprp", b"ipma")
    if main is None or owners is None or main.end - main.start < 6 or owners.end - owners.start < 8:
        return []
    wanted = int.from_bytes(data[main.start + 4 : main.end])
    version, wide = data[owners.start], data[owners.start + 3] & 1
    id_size, place = (4 if version else 2), owners.start + 8
    for _ in range(min(_MOST_BOXES, int.from_bytes(data[owners.start + 4 : owners.start + 8]))):
        if place + id_size >= owners.end:
            break
        item, count = int.from_bytes(data[place : place + id_size]), data[place + id_size]
        place += id_size + 1
        entries = data[place : place + count * (1 + wide)]
        place += count * (1 + wide)
        if item == wanted:
            # the highest bit says that the property must be understood
            mask = 0x7FFF if wide else 0x7F
            return [int.from_bytes(entries[i : i + 1 + wide]) & mask for i in range(0, len(entries), 1 + wide)]
    return []
