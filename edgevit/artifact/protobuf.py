"""Reading a protobuf message without its schema's generated code: fields by their number, every length checked.

The format is described at https://protobuf.dev/programming-guides/encoding: a message is a row of fields, each a number
and a kind in one variable-length integer, then the content.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

Data = bytes | mmap.mmap

MOST_FIELDS = 2_000_000
"""Fields that are looked at in one file; a graph of 2,000 operators has about 50,000."""
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Field:
    """One field of a message: its number in the schema, and where its content lies."""

    number: int
    start: int
    end: int
    value: int = 0
    """The whole number, if it is one; such a field has no content."""


class Message:
    """A message within some data. Iterating raises ValueError if the data points outside itself."""

    def __init__(self, data: Data, start: int = 0, end: int | None = None, looked_at: list[int] | None = None) -> None:
        """Take the bytes from `start` to `end`; `looked_at` counts the fields over all messages of one file."""
        self._data = data
        self._start, self._end = start, len(data) if end is None else end
        self._looked_at = [0] if looked_at is None else looked_at

    def __iter__(self) -> Iterator[Field]:
        position = self._start
        while position < self._end:
            self._looked_at[0] += 1
            if self._looked_at[0] > MOST_FIELDS:
                raise ValueError(f"it has more than {MOST_FIELDS} fields")
            at = position
            tag, position = self._number(position)
            number, kind = tag >> 3, tag & 7
            if number == 0 or kind not in (_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES):
                raise ValueError(f"no protobuf field at byte {at}")
            value, length = 0, {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind, 0)
            if kind == _VARINT:
                value, position = self._number(position)
            elif kind == _LENGTH:
                length, position = self._number(position)
            start, position = position, position + length
            if position > self._end:
                raise ValueError(f"{position - self._end} bytes are missing at its end")
            yield Field(number, start, position, value)

    def part(self, field: Field) -> "Message":
        """Return the message that a field holds."""
        return Message(self._data, field.start, field.end, self._looked_at)

    def text(self, field: Field, most: int) -> str:
        """Return the text of a field; ValueError if it has more than `most` bytes."""
        if field.end - field.start > most:
            raise ValueError(f"a text of {field.end - field.start} bytes; at most {most} are read")
        return self._data[field.start : field.end].decode(errors="replace")

    def _number(self, position: int) -> tuple[int, int]:
        """Return a variable-length integer, and where what follows it begins."""
        value = 0
        for shift in range(0, 70, 7):
            if position >= self._end:
                raise ValueError("it ends within a number")
            byte = self._data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise ValueError(f"no protobuf number at byte {position}")
