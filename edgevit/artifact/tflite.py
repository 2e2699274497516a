"""The key-value pairs of a TFLite file, read without a TFLite package: edgevit's document, and the standard metadata.

A .tflite file is a FlatBuffer (schema.fbs of TFLite, identifier TFL3) whose `metadata` names buffers. One of them,
TFLITE_METADATA, is a FlatBuffer of its own (metadata_schema.fbs, M001) that describes the tensors and names files, such
as the labels, which stand in a zip archive appended to the model.
"""

import contextlib
import json
import mmap
import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from edgevit.artifact.files import LARGEST_TEXT, MOST_PAIRS, FilePath, open_model
from edgevit.artifact.flatbuffer import Table, read_root
from edgevit.errors import ModelFileError
from edgevit.schema import read_json

if TYPE_CHECKING:
    from edgevit.artifact.graph import Graph, GraphTensor

IDENTIFIER = b"TFL3"
SUBGRAPHS, BUFFERS, METADATA, EXTERNAL_GROUPS, EXTERNAL_BUFFERS = 2, 4, 6, 8, 9
"""Field numbers of TFLite's Model; a Metadata's name is 0 and its buffer 1, a Buffer's data 0, offset 1, size 2."""

TENSORS, INPUTS, OUTPUTS = 0, 1, 2
"""Field numbers of a SubGraph; a Tensor's shape is 0, type 1, name 3 and its shape with open axes as -1 is 7."""
_TYPES = dict(
    enumerate(
        re.split(" ", "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64")
    )
) | {15: "uint32", 16: "uint16", 17: "int4", 18: "bfloat16"}
"""Names of TensorType by its number."""

STANDARD = "TFLITE_METADATA"
STANDARD_IDENTIFIER = b"M001"
NAME, DESCRIPTION, VERSION, SUBGRAPH_METADATA, AUTHOR, LICENSE, PARSER_VERSION = 0, 1, 2, 3, 4, 5, 7
"""Field numbers of ModelMetadata."""
INPUT_METADATA, OUTPUT_METADATA = 2, 3
"""Field numbers of SubGraphMetadata."""
TENSOR_NAME, CONTENT, PROCESS_UNITS, TENSOR_FILES = 0, 3, 4, 6
"""Field numbers of TensorMetadata; ProcessUnit: kind 0, options 1; AssociatedFile: name 0, type 2, locale 3."""
NORMALIZATION = 1
"""The kind of ProcessUnit that holds mean and deviation of levels 0..255."""
AXIS_LABELS = 2
"""The type of AssociatedFile that names classes, one a line."""

FLAT = "metadata.json"
"""Appended file with the flat keys, as Ultralytics' files have it."""
FLAT_TEXT = {"name": NAME, "description": DESCRIPTION, "version": VERSION, "author": AUTHOR, "license": LICENSE}
NORMALIZATION_KEYS = ("normalization_mean", "normalization_std")
LARGEST_DIRECTORY = 1 << 20
"""Bytes of the list of appended files that are read at most: about 10,000 files."""
_END_OF_DIRECTORY, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
"""Signatures of a zip archive's last record (22 bytes and a comment), and of one before it in archives beyond 4 GB."""


def read_document(path: FilePath, name: str) -> str | None:
    """Return one text of a TFLite file's own metadata, None if it has none of this name; appended files are not read.

    Raises:
        ModelFileError: the file cannot be read, is not a TFLite model, or is damaged.
    """
    with open_tflite(path) as (root, _):
        content = _named_buffers(root, (name,)).get(name)
        return None if content is None else _text(content)


def read_metadata(path: FilePath) -> dict[str, str]:
    """Return the key-value pairs of a TFLite file; the graph is not read.

    The pairs are edgevit's document and the flat keys beside it, and of the standard metadata `name`, `description`,
    `version`, `author`, `license`; `names` (the labels as a JSON list); NORMALIZATION_KEYS (JSON lists, of
    RGB in 0..1).

    Raises:
        ModelFileError: the file cannot be read, is not a TFLite model, or is damaged.
    """
    with open_tflite(path) as (root, file):
        buffers = _named_buffers(root, (STANDARD, "edgevit", "min_runtime_version"))
        pairs = _standard_pairs(buffers.pop(STANDARD, b""), file)
        pairs |= _flat_pairs(_appended_file(file, FLAT))
        return pairs | {name: _text(content) for name, content in buffers.items()}


def read_graph(path: FilePath) -> "Graph":
    """Return the inputs and outputs of a TFLite file's first graph, and the version of the schema.

    Raises:
        ModelFileError: the file cannot be read, is not a TFLite model, or has inputs without measure.
    """
    from edgevit.artifact.graph import MOST_TENSORS, Graph

    with open_tflite(path) as (root, _):
        graph = root.element(SUBGRAPHS, 0)
        ends = graph.integers(INPUTS), graph.integers(OUTPUTS)
        if max(map(len, ends)) > MOST_TENSORS:
            raise ValueError(f"it has more than {MOST_TENSORS} inputs or outputs")
        given, made = (tuple(_tensor(graph.element(TENSORS, index)) for index in indices) for indices in ends)
        return Graph(given, made, {"schema": root.number(0, "I", 0)})


def _tensor(table: Table) -> "GraphTensor":
    from edgevit.artifact.graph import GraphTensor

    kind = table.number(1, "b", 0)
    sides = table.integers(7) or table.integers(0)
    return GraphTensor(
        table.string(3), _TYPES.get(kind, f"type {kind}"), tuple("?" if side < 0 else side for side in sides)
    )


def external_file(path: FilePath) -> str | None:
    """Return the name of a file that some weights of a TFLite model lie in; None if there is none.

    Raises:
        ModelFileError: the file cannot be read or is not a TFLite model.
    """
    with open_tflite(path) as (root, _):
        groups = [group.string(0) for group in root.tables(EXTERNAL_GROUPS)]
        return (groups or ["?"])[0] if groups or root.count(EXTERNAL_BUFFERS) else None


@contextlib.contextmanager
def open_tflite(path: FilePath) -> Iterator[tuple[Table, BinaryIO]]:
    """Map a TFLite file into memory and yield its root table, and the file.

    Raises:
        ModelFileError: the file cannot be read or is not a TFLite model, found at once or while the block reads it.
    """
    with open_model(path) as file:
        try:
            # an empty file cannot be mapped, which is a ValueError too
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                root = read_root(data, IDENTIFIER)
                if not root.count(SUBGRAPHS):
                    raise ValueError("it has no graph")
                yield root, file
        except ValueError as error:
            raise ModelFileError(
                f"{path} is not a TFLite model, or is damaged ({error}); export or copy it again"
            ) from error


def _named_buffers(root: Table, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the content of those entries of the model's own metadata that have one of these names."""
    if root.count(METADATA) > MOST_PAIRS:
        raise ValueError(f"its metadata has {root.count(METADATA)} entries, at most {MOST_PAIRS} are read")
    named = ((entry, entry.string(0)) for entry in root.tables(METADATA))
    return {name: _buffer(root, entry.number(1, "I", 0)) for entry, name in named if name in names}


def _text(content: bytes) -> str:
    return content.rstrip(b"\0").decode(errors="replace")


def _buffer(root: Table, index: int) -> bytes:
    """Return the content of a buffer, which in files beyond 2 GB stands behind the FlatBuffer."""
    table = root.element(BUFFERS, index)
    start = table.number(1, "Q", 0)
    size = table.number(2, "Q", 0) if start > 1 else table.length(0)
    if size > LARGEST_TEXT:
        raise ValueError(f"a metadata entry has {size} bytes, at most {LARGEST_TEXT} are read")
    return table.data[start : start + size] if start > 1 else table.content(0)


def _standard_pairs(content: bytes, file: BinaryIO) -> dict[str, str]:
    """Return what the standard metadata says, as flat keys."""
    if not content:
        return {}
    model = read_root(content, STANDARD_IDENTIFIER)
    pairs = {key: model.string(field) for key, field in FLAT_TEXT.items()}
    if model.count(SUBGRAPH_METADATA):
        graph = model.element(SUBGRAPH_METADATA, 0)
        pairs |= _normalization(graph) | _labels(graph, file)
    return {key: value for key, value in pairs.items() if value}


def _normalization(graph: Table) -> dict[str, str]:
    if not graph.count(INPUT_METADATA):
        return {}
    for unit in graph.element(INPUT_METADATA, 0).tables(PROCESS_UNITS):
        options = unit.table(1)
        if unit.number(0, "B", 0) == NORMALIZATION and options is not None:
            mean_and_std = ([value / 255 for value in options.floats(field)] for field in (0, 1))
            return {
                key: json.dumps(values * 3 if len(values) == 1 else values)
                for key, values in zip(NORMALIZATION_KEYS, mean_and_std, strict=True)
            }
    return {}


def _labels(graph: Table, file: BinaryIO) -> dict[str, str]:
    """Return the class names of the first output, those without a locale before translated ones."""
    if not graph.count(OUTPUT_METADATA):
        return {}
    entries = graph.element(OUTPUT_METADATA, 0).tables(TENSOR_FILES)
    named = [entry for entry in entries if entry.number(2, "b", 0) == AXIS_LABELS]
    for entry in sorted(named, key=lambda entry: entry.string(3) != ""):
        if text := _appended_file(file, entry.string(0)).decode(errors="replace"):
            return {"names": json.dumps(text.splitlines(), ensure_ascii=False)}
    return {}


def _flat_pairs(content: bytes) -> dict[str, str]:
    if not content:
        return {}
    try:
        value = read_json(content.decode())
    except ValueError as error:
        raise ValueError(f"{FLAT} is unreadable: {error}") from error
    if not isinstance(value, dict):
        return {}
    return {key: item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}


def _appended_file(file: BinaryIO, name: str) -> bytes:
    """Return the content of a file in the appended zip; nothing if there is none, or none of a believable size."""
    # imported here, as the first answer of edgevit's own files needs nothing of it
    import zipfile
    import zlib

    damage = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error)
    try:
        if not zipfile.is_zipfile(file):
            return b""
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename == name]
            return archive.read(entries[0]) if entries and entries[0].file_size <= LARGEST_TEXT else b""
    except damage as error:
        raise ValueError(f"the files appended to it are unreadable: {error}") from error


def _check_directory(file: BinaryIO) -> None:
    """Raise ValueError for an archive whose list of files would take much memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16) - 42))
    tail = file.read()
    at = tail.rfind(_END_OF_DIRECTORY)
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if directory > LARGEST_DIRECTORY or tail[max(0, at - 20) : at].startswith(_ZIP64_LOCATOR):
        raise ValueError(f"the list of files appended to it is larger than {LARGEST_DIRECTORY} bytes")
