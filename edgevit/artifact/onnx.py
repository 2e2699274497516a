"""The key-value pairs of an ONNX file, read without the onnx package and without reading the graph."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgevit.artifact.files import open_model
from edgevit.errors import ModelFileError

_GRAPH, _METADATA_PROPS = 7, 14
"""Field numbers of ONNX's ModelProto."""


def read_metadata(path: Path) -> dict[str, str]:
    """Return the key-value pairs of an ONNX file; the graph between them is skipped, not read.

    Raises:
        ModelFileError: the file cannot be read, is not an ONNX model, or ends too early.
    """
    with open_model(path) as file:
        try:
            fields = _read_pairs(file, os.fstat(file.fileno()).st_size)
        except ValueError as error:
            raise ModelFileError(
                f"{path} is not an ONNX model, or is truncated ({error}); export or copy it again"
            ) from error
    return fields


def _read_pairs(file: BinaryIO, size: int) -> dict[str, str]:
    pairs: dict[str, str] = {}
    has_graph = False
    for number, length in _protobuf_fields(file, size):
        has_graph = has_graph or (number == _GRAPH and length > 0)
        if number == _METADATA_PROPS:
            key, value = _key_and_value(file.read(length))
            pairs[key] = value
    if not has_graph:
        raise ValueError("it has no graph")
    return pairs


def _protobuf_fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Yield (field number, length) of one protobuf message, the file standing at the field's first byte.

    The caller may read the field or leave it; lengths are checked against the bytes there are. ValueError otherwise.
    """
    position = 0
    while position < end:
        file.seek(position)
        tag = _varint(file)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            raise ValueError(f"no protobuf field at byte {position}")
        leading = _varint(file) if wire in (0, 2) else 0
        length = {0: 0, 1: 8, 2: leading, 5: 4}[wire]
        position = file.tell() + length
        if position > end:
            raise ValueError(f"{position - end} bytes are missing at its end")
        yield number, length


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError(f"no protobuf number at byte {file.tell()}")


def _key_and_value(entry: bytes) -> tuple[str, str]:
    """Read one StringStringEntryProto."""
    file = io.BytesIO(entry)
    texts = {
        number: file.read(length).decode(errors="replace") for number, length in _protobuf_fields(file, len(entry))
    }
    return texts.get(1, ""), texts.get(2, "")
