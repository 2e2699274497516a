"""TFLite's standard metadata, which other tools read beside the document: a FlatBuffer of metadata_schema.fbs."""

from collections.abc import Sequence
from typing import Any, Union

import flatbuffers
import numpy as np
from flatbuffers import number_types
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, mirrored_keys
from edgevit.artifact.tflite import (
    AUTHOR,
    AXIS_LABELS,
    CONTENT,
    DESCRIPTION,
    INPUT_METADATA,
    LICENSE,
    NAME,
    NORMALIZATION,
    OUTPUT_METADATA,
    PARSER_VERSION,
    PROCESS_UNITS,
    STANDARD_IDENTIFIER,
    SUBGRAPH_METADATA,
    TENSOR_FILES,
    TENSOR_NAME,
)

LABELS = "labels.txt"
IMAGE, RGB = 2, 1
"""ImageProperties among the kinds of content, and their colour space."""
BYTES_ALIGNMENT = 16
"""Where TFLite's schemas want a vector of bytes, in bytes."""

Value = Union["Fields", Sequence["Fields"], np.generic, NDArray[Any], str, bytes, None]
"""A field's value: a table, a vector of tables, a number, a vector of numbers, text, a vector of bytes, or absent."""
Fields = dict[int, Value]
"""A table: field number in the schema to value."""


def standard_metadata(manifest: Manifest) -> bytes:
    """Return TFLite's own metadata: what the image is, its normalization in levels 0..255, and the labels' file."""
    preprocessing = manifest.host_preprocess
    levels = [255 * np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std)]
    size: Fields = {0: np.uint32(preprocessing.size[1]), 1: np.uint32(preprocessing.size[0])}
    image: Fields = {0: np.uint8(IMAGE), 1: {0: np.int8(RGB), 1: size}}
    given: Fields = {
        TENSOR_NAME: manifest.input.name,
        CONTENT: image,
        PROCESS_UNITS: [{0: np.uint8(NORMALIZATION), 1: dict(enumerate(levels))}],
    }
    answer: Fields = {TENSOR_NAME: "logits", TENSOR_FILES: [{0: LABELS, 2: np.int8(AXIS_LABELS)}]}
    root: Fields = {
        NAME: manifest.model,
        DESCRIPTION: mirrored_keys(manifest)["description"],
        SUBGRAPH_METADATA: [{INPUT_METADATA: [given], OUTPUT_METADATA: [answer]}],
        AUTHOR: "edgevit",
        LICENSE: manifest.weights.license,
        PARSER_VERSION: "1.0.0",
    }
    return build(root, STANDARD_IDENTIFIER)


def build(root: Fields, identifier: bytes) -> bytes:
    """Return a FlatBuffer of a schema that no generated code is at hand for."""
    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _table(builder: Any, fields: Fields) -> int:
    """Write a table behind all that it refers to; return its place."""
    places = {field: _written(builder, value) for field, value in fields.items() if not isinstance(value, np.generic)}
    builder.StartObject(max(fields, default=-1) + 1)
    for field, value in fields.items():
        if isinstance(value, np.generic):
            flags = getattr(number_types, f"{value.dtype.name.capitalize()}Flags")
            builder.PrependSlot(flags, field, value.item(), 0)
        elif value is not None:
            builder.PrependUOffsetTRelativeSlot(field, places[field], 0)
    return int(builder.EndObject())


def _written(builder: Any, value: Value) -> int:
    if value is None:
        return 0
    if isinstance(value, dict):
        return _table(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.Prep(BYTES_ALIGNMENT, len(value))
        return int(builder.CreateByteVector(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    assert not isinstance(value, np.generic)
    places = [_table(builder, table) for table in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())
