"""TFLite model and manifest to one sealed file, with the standard metadata that other tools read beside the document.

The model itself is kept byte for byte: a new root, which refers to the old one's parts, is put in front of it.
"""

import io
import json
import struct
import zipfile

from edgevit.artifact.flatbuffer import Table, read_root
from edgevit.artifact.manifest import KEY, UNSEALED, Manifest, mirrored_keys, seal
from edgevit.artifact.tflite import (
    AUTHOR,
    AXIS_LABELS,
    BUFFERS,
    CONTENT,
    DESCRIPTION,
    FLAT,
    IDENTIFIER,
    INPUT_METADATA,
    LICENSE,
    METADATA,
    NAME,
    NORMALIZATION,
    OUTPUT_METADATA,
    PARSER_VERSION,
    PROCESS_UNITS,
    STANDARD,
    STANDARD_IDENTIFIER,
    SUBGRAPH_METADATA,
    TENSOR_FILES,
    TENSOR_NAME,
)
from edgevit.export.tflite.flatbuffer import Fields, Number, Numbers, Placed, Value, build

LABELS = "labels.txt"
MODEL_FIELDS = 10
"""How many fields TFLite's Model has: its version, a number, and references."""
IMAGE, RGB = 2, 1
"""ImageProperties among the kinds of content, and their colour space."""


def artifact_bytes(model: bytes, manifest: Manifest) -> bytes:
    """Return the file's content: the model with the manifest, the standard metadata, the labels and the seal.

    Raises:
        ValueError: `model` is not a TFLite model, or already has files appended.
    """
    assert manifest.sha256 == UNSEALED
    named = {KEY: manifest.to_json().encode(), STANDARD: standard_metadata(manifest)}
    appended = {FLAT: json.dumps(mirrored_keys(manifest)), LABELS: "".join(f"{label}\n" for label in manifest.labels)}
    return seal(append_files(with_metadata(model, named), appended))


def with_metadata(model: bytes, named: dict[str, bytes]) -> bytes:
    """Return the model with these metadata buffers, in place of older ones of the same names.

    Raises:
        ValueError: `model` is not a TFLite model, or has parts that this function does not know.
    """
    old = read_root(model, IDENTIFIER)
    if old.field_count() > MODEL_FIELDS:
        raise ValueError(f"the TFLite model has {old.field_count()} parts, expected up to {MODEL_FIELDS}")
    buffers: list[Value] = [Placed(table.position) for table in old.tables(BUFFERS)]
    added: list[Value] = [{0: content} for content in named.values()]
    kept: list[Value] = [Placed(entry.position) for entry in old.tables(METADATA) if entry.string(0) not in named]
    new: list[Value] = [{0: name, 1: Number("I", len(buffers) + index)} for index, name in enumerate(named)]
    root: Fields = {0: Number("I", old.number(0, "I", 3))}
    root |= {field: _placed(old, field) for field in range(1, old.field_count())}
    root |= {BUFFERS: buffers + added, METADATA: kept + new}
    return _shift_constants(build(root, IDENTIFIER, model), old, len(model))


def _shift_constants(data: bytes, old: Table, length: int) -> bytes:
    """Return the model after something was put in front of its last `length` bytes.

    Some writers keep constants behind the FlatBuffer, at a distance from the file's first byte that the buffer names.
    """
    result, shift = bytearray(data), len(data) - length
    for place in {table.place(1) for table in old.tables(BUFFERS) if table.number(1, "Q", 0) > 1}:
        assert place is not None
        (distance,) = struct.unpack_from("<Q", result, shift + place)
        struct.pack_into("<Q", result, shift + place, distance + shift)
    return bytes(result)


def append_files(model: bytes, files: dict[str, str]) -> bytes:
    """Return the model with a zip archive of text files behind it, uncompressed as TFLite's readers ask.

    Raises:
        ValueError: there is an archive already.
    """
    content = io.BytesIO(model)
    if zipfile.is_zipfile(content):
        raise ValueError("the TFLite model has files appended already, expected none")
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            # a ZipInfo of its own date, so that the same export gives the same bytes
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


def standard_metadata(manifest: Manifest) -> bytes:
    """Return TFLite's own metadata: what the image is, its normalization in levels 0..255, and the labels' file."""
    preprocessing = manifest.host_preprocess
    normalization: Fields = {
        0: Numbers("f", [255 * value for value in preprocessing.mean]),
        1: Numbers("f", [255 * value for value in preprocessing.std]),
    }
    size: Fields = {0: Number("I", preprocessing.size[1]), 1: Number("I", preprocessing.size[0])}
    image: Fields = {0: Number("B", IMAGE), 1: {0: Number("b", RGB), 1: size}}
    given: Fields = {
        TENSOR_NAME: manifest.input.name,
        CONTENT: image,
        PROCESS_UNITS: [{0: Number("B", NORMALIZATION), 1: normalization}],
    }
    answer: Fields = {TENSOR_NAME: "logits", TENSOR_FILES: [{0: LABELS, 2: Number("b", AXIS_LABELS)}]}
    root: Fields = {
        NAME: manifest.model,
        DESCRIPTION: mirrored_keys(manifest)["description"],
        SUBGRAPH_METADATA: [{INPUT_METADATA: [given], OUTPUT_METADATA: [answer]}],
        AUTHOR: "edgevit",
        LICENSE: manifest.weights.license,
        PARSER_VERSION: "1.0.0",
    }
    return build(root, STANDARD_IDENTIFIER)


def _placed(table: Table, field: int) -> Value:
    target = table.target(field)
    return None if target is None else Placed(target)
