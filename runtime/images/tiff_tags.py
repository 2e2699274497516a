"""The tags of a TIFF file, and of the Exif block in a JPEG, PNG or WebP file, which is one."""

import contextlib
import struct
from collections.abc import Iterator, Mapping

WIDTH, LENGTH, BITS, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 262, 274
TILE_WIDTH, TILE_LENGTH, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 338, 339
"""Numbers of tags (TIFF 6.0, section 8)."""

ASSOCIATED, UNASSOCIATED = 1, 2
"""Values of EXTRA_SAMPLES: an alpha channel with which the colours are multiplied, and one with which they are not."""
LAB = frozenset((8, 9, 10))
"""Values of PHOTOMETRIC: CIE L*a*b*, and its forms of the ICC and the ITU."""

_FORMS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
"""Types of whole numbers to struct's letters: BYTE, SHORT, LONG, IFD, LONG8."""
_LAYOUTS = {42: (("H", "HHI", "I"), 4), 43: (("Q", "HHQ", "Q"), 8)}
"""Version (43: BigTIFF) to the forms of the number of entries, of an entry's head and of a place in the file, and to
where the place of the first list of entries stands."""
_MOST_TAGS = 4096
_MOST_VALUES = 16
"""Values of a tag that are read: strips' places, which may be many, are none of those above."""


def read_tags(data: bytes) -> Mapping[int, tuple[int, ...]] | None:
    """Return the tags of the first picture that are whole numbers; None if the bytes are no TIFF.

    A tag of more numbers than _MOST_VALUES, or one that lies outside the data, is shortened or left out. BigTIFF is
    read too.
    """
    if (order := _order(data)) is None:
        return None
    tags: dict[int, tuple[int, ...]] = {}
    for tag, form, place in _entries(data, order):
        with contextlib.suppress(struct.error):
            tags[tag] = struct.unpack_from(form, data, place)
    return tags


def replace_tag(data: bytes, tag: int, value: int) -> bytes:
    """Return the file with this value as the first of a tag's, if it has the tag."""
    if (order := _order(data)) is None:
        return data
    for found, form, place in _entries(data, order):
        if found == tag and 0 <= place <= len(data) - struct.calcsize(form):
            changed = bytearray(data)
            struct.pack_into(form[:1] + form[-1], changed, place, value)
            return bytes(changed)
    return data


def exif_orientation(data: bytes) -> int:
    """Return the orientation, 1..8, that an Exif block tells; 1 if it tells none."""
    found = (read_tags(data) or {}).get(ORIENTATION, (1,))
    return found[0] if found and 1 <= found[0] <= 8 else 1


def _order(data: bytes) -> str | None:
    """Return struct's letter for the order of the bytes, None if they are no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    return order if order and len(data) >= 8 and struct.unpack_from(f"{order}H", data, 2)[0] in _LAYOUTS else None


def _entries(data: bytes, order: str) -> Iterator[tuple[int, str, int]]:
    """Yield each tag of whole numbers of the first picture, with its values' form for struct and where they stand."""
    forms, first = _LAYOUTS[struct.unpack_from(f"{order}H", data, 2)[0]]
    count_form, head_form, place_form = (order + form for form in forms)
    try:
        (start,) = struct.unpack_from(place_form, data, first)
        (count,) = struct.unpack_from(count_form, data, start)
    except struct.error:
        return
    start += struct.calcsize(count_form)
    head, place = struct.calcsize(head_form), struct.calcsize(place_form)
    for at in range(start, start + min(count, _MOST_TAGS) * (head + place), head + place):
        try:
            tag, kind, number = struct.unpack_from(head_form, data, at)
            if kind not in _FORMS or not number:
                continue
            inline = number * struct.calcsize(order + _FORMS[kind]) <= place
            values = at + head if inline else struct.unpack_from(place_form, data, at + head)[0]
        except struct.error:
            return
        yield tag, f"{order}{min(number, _MOST_VALUES)}{_FORMS[kind]}", values
