"""Writing a FlatBuffer from plain values, optionally in front of an older one whose parts it goes on using.

References point forward only, so everything is written in the order in which it is first met, breadth first.
"""

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union, cast

ALIGNMENT = 64
"""Alignment of appended data, a multiple of every alignment within it; TFLite's constants stand at multiples of 16."""


@dataclass(frozen=True)
class Number:
    """A field of a table that holds a number; `form` is struct's letter for it."""

    form: str
    value: float


@dataclass(frozen=True)
class Numbers:
    """A vector of numbers."""

    form: str
    values: Sequence[float]


@dataclass(frozen=True)
class Placed:
    """Something that is in the appended data already, by its position there."""

    position: int


Value = Union["Fields", Sequence["Value"], Number, Numbers, Placed, str, bytes, None]
"""A field's value: a table, a vector of tables or texts, a number, a vector of numbers or bytes, or absent."""
Fields = dict[int, Value]
"""A table: field number in the schema to value."""


def build(root: Fields, identifier: bytes, appended: bytes = b"") -> bytes:
    """Return the bytes of a FlatBuffer with this root table and identifier, followed by `appended`."""
    out = bytearray(4) + identifier
    waiting: deque[tuple[int, Value]] = deque([(0, root)])
    placed: list[tuple[int, Placed]] = []
    while waiting:
        reference, value = waiting.popleft()
        if isinstance(value, Placed):
            placed.append((reference, value))
            continue
        position, references = _append(out, value)
        struct.pack_into("<I", out, reference, position - reference)
        waiting.extend(references)
    _pad(out, ALIGNMENT)
    for reference, target in placed:
        struct.pack_into("<I", out, reference, len(out) + target.position - reference)
    return bytes(out) + appended


def _append(out: bytearray, value: Value) -> tuple[int, list[tuple[int, Value]]]:
    """Write one thing; return its position, and where in it references to what follows are to be filled in."""
    if isinstance(value, dict):
        return _append_table(out, value)
    if isinstance(value, str):
        return _append_vector(out, "B", value.encode(), alignment=4, after=b"\0"), []
    if isinstance(value, bytes):
        return _append_vector(out, "B", value, alignment=16), []
    if isinstance(value, Numbers):
        return _append_vector(out, value.form, value.values, alignment=max(4, struct.calcsize(value.form))), []
    assert isinstance(value, Sequence)
    items = cast("Sequence[Value]", value)
    position = _append_vector(out, "I", [0] * len(items), alignment=4)
    return position, [(position + 4 + 4 * index, item) for index, item in enumerate(items)]


def _append_vector(out: bytearray, form: str, values: Sequence[float], alignment: int, after: bytes = b"") -> int:
    _pad(out, alignment, ahead=4)
    position = len(out)
    out += struct.pack("<I", len(values))
    out += values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{form}", *values)
    out += after
    return position


def _append_table(out: bytearray, fields: Fields) -> tuple[int, list[tuple[int, Value]]]:
    """Write the vtable, then the table: the distance between them, and the fields, the largest first."""
    present: Fields = {field: value for field, value in fields.items() if value is not None}
    forms = {field: value.form if isinstance(value, Number) else "I" for field, value in present.items()}
    offsets, size = {}, 4
    for field in sorted(present, key=lambda field: -struct.calcsize(forms[field])):
        width = struct.calcsize(forms[field])
        size += -size % width
        offsets[field] = size
        size += width
    _pad(out, 2)
    vtable = len(out)
    slots = [offsets.get(field, 0) for field in range(max(present, default=-1) + 1)]
    out += struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), size, *slots)
    _pad(out, 8)
    position = len(out)
    out += struct.pack("<i", position - vtable) + bytes(size - 4)
    references: list[tuple[int, Value]] = []
    for field, value in present.items():
        if isinstance(value, Number):
            struct.pack_into(f"<{value.form}", out, position + offsets[field], value.value)
        else:
            references.append((position + offsets[field], value))
    return position, references


def _pad(out: bytearray, alignment: int, ahead: int = 0) -> None:
    """Add zeros until what comes `ahead` bytes later is aligned."""
    out += bytes(-(len(out) + ahead) % alignment)
