"""Reading a FlatBuffer without its schema's generated code: tables, vectors and strings, every offset checked.

The format is described at https://flatbuffers.dev/internals: a table begins with the distance to its vtable, which
lists where in the table each field lies; all other references are distances forward from where they stand.
"""

import mmap
import struct
from dataclasses import dataclass

from edgevit.artifact.files import LARGEST_TEXT

Data = bytes | mmap.mmap

MOST_TABLES = 200_000
"""Tables of one list that are read at most; graphs have a few thousand operators and tensors."""


@dataclass(frozen=True)
class Table:
    """A table at a place in the data; fields are asked for by their number in the schema.

    Every method raises ValueError if the data points outside itself.
    """

    data: Data
    position: int

    def number(self, field: int, form: str, default: int) -> int:
        """Return an integer field; `form` is struct's letter for it."""
        place = self.place(field)
        return default if place is None else _unpack(self.data, form, place)

    def table(self, field: int) -> "Table | None":
        place = self.target(field)
        return None if place is None else Table(self.data, place)

    def string(self, field: int) -> str:
        """Return a text field, empty if it is absent."""
        if (size := self.length(field)) > LARGEST_TEXT:
            raise ValueError(f"a text of {size} bytes; at most {LARGEST_TEXT} are read")
        return self.content(field).decode(errors="replace")

    def content(self, field: int) -> bytes:
        """Return a vector of bytes, empty if it is absent."""
        start, count = self._vector(field, 1)
        return self.data[start : start + count]

    def floats(self, field: int) -> tuple[float, ...]:
        start, count = self._vector(field, 4)
        return struct.unpack(f"<{count}f", self.data[start : start + 4 * count])

    def integers(self, field: int) -> tuple[int, ...]:
        """Return a vector of int32."""
        start, count = self._vector(field, 4)
        return struct.unpack(f"<{count}i", self.data[start : start + 4 * count])

    def length(self, field: int) -> int:
        """Return how many bytes a vector of bytes has."""
        return self._vector(field, 1)[1]

    def count(self, field: int) -> int:
        """Return how many elements a vector of four bytes each (numbers, tables, strings) has."""
        return self._vector(field, 4)[1]

    def element(self, field: int, index: int) -> "Table":
        """Return one of a vector of tables."""
        start, count = self._vector(field, 4)
        if not 0 <= index < count:
            raise ValueError(f"element {index} of {count} is missing")
        return Table(self.data, _follow(self.data, start + 4 * index))

    def tables(self, field: int) -> list["Table"]:
        if (count := self.count(field)) > MOST_TABLES:
            raise ValueError(f"a list of {count} tables; at most {MOST_TABLES} are read")
        return [self.element(field, index) for index in range(self.count(field))]

    def target(self, field: int) -> int | None:
        """Return where what a field refers to lies, None if the field is absent."""
        place = self.place(field)
        return None if place is None else _follow(self.data, place)

    def _vtable(self) -> int:
        return self.position - _unpack(self.data, "i", self.position)

    def place(self, field: int) -> int | None:
        """Return where a field stands in the data, None if it is absent."""
        vtable = self._vtable()
        slot = 4 + 2 * field
        if slot + 2 > _unpack(self.data, "H", vtable):
            return None
        offset = _unpack(self.data, "H", vtable + slot)
        return self.position + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Return a vector's first byte and how many elements of `size` bytes it has."""
        place = self.target(field)
        if place is None:
            return 0, 0
        count = _unpack(self.data, "I", place)
        if place + 4 + count * size > len(self.data):
            raise ValueError(f"{place + 4 + count * size - len(self.data)} bytes are missing at its end")
        return place + 4, count


def read_root(data: Data, identifier: bytes) -> Table:
    """Return the root table of data that carries this four-byte identifier; ValueError otherwise."""
    if len(data) < 8 or data[4:8] != identifier:
        raise ValueError(f"its first bytes are not those of {identifier.decode()}")
    return Table(data, _follow(data, 0))


def _follow(data: Data, place: int) -> int:
    return place + _unpack(data, "I", place)


def _unpack(data: Data, form: str, place: int) -> int:
    if place < 0 or place + struct.calcsize(form) > len(data):
        raise ValueError(f"it refers to byte {place}, but has {len(data)}")
    (value,) = struct.unpack_from(f"<{form}", data, place)
    assert isinstance(value, int)
    return value
