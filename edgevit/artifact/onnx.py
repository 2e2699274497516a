"""What an ONNX file tells without the onnx package: its pairs, inputs and outputs, how these end, its other files.

Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

import contextlib
import mmap
import os
import re
from collections.abc import Iterator

from edgevit.artifact.files import LARGEST_TEXT, MOST_PAIRS, FilePath, open_model
from edgevit.artifact.graph import MOST_TENSORS, Graph, GraphTensor
from edgevit.artifact.protobuf import Field, Message
from edgevit.errors import ModelFileError

_IR, _GRAPH, _OPSETS, _METADATA_PROPS, _TRAINING, _FUNCTIONS = 1, 7, 8, 14, 20, 25
"""Fields of a ModelProto."""
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
"""Fields of a GraphProto."""
_TENSOR_NAME = 8
"""Field of a TensorProto."""
_TYPES = re.split(
    ", ",
    "no type, float32, uint8, int8, uint16, int16, int32, int64, string, bool, float16, float64, uint32, uint64, "
    "complex64, complex128, bfloat16",
)
"""Names of TensorProto.DataType by its number."""
_PARTS = {
    "model": {_GRAPH: "graph", _TRAINING: "training", _FUNCTIONS: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {_NODE: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Kind of message to those of its fields in which a tensor may stand, and what they are."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""Fields of a TensorProto."""
DEEPEST = 40
"""Messages within each other; a graph within a graph counts four."""
LONGEST_NAME = 1 << 16

UNCHANGING = frozenset(
    ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Cast", "Dropout", "Clip")
    + ("QuantizeLinear", "DequantizeLinear", "Slice", "Gather", "Mean", "ReduceMean", "GlobalAveragePool")
)
"""Operators behind which an output means what it meant before; the first input is what passes through.

Some of the probabilities are probabilities still, and so are means of them.
"""


def read_document(path: FilePath, name: str) -> str | None:
    """Return the value of one of an ONNX file's key-value pairs, None if it has none of this name.

    Raises:
        ModelFileError: as read_metadata.
    """
    return read_metadata(path).get(name)


def read_metadata(path: FilePath) -> dict[str, str]:
    """Return the key-value pairs of an ONNX file; the graph between them is skipped, not read.

    Raises:
        ModelFileError: the file cannot be read, is not an ONNX model, ends too early, or has pairs without measure.
    """
    with _open_onnx(path) as model:
        pairs: dict[str, str] = {}
        entries = 0
        for field in model:
            if field.number == _METADATA_PROPS:
                entries += 1
                if entries > MOST_PAIRS:
                    raise ValueError(f"its metadata has more than {MOST_PAIRS} entries")
                if field.end - field.start > LARGEST_TEXT:
                    raise ValueError(f"a metadata entry has {field.end - field.start} bytes, at most {LARGEST_TEXT}")
                entry = model.part(field)
                texts = {part.number: entry.text(part, LARGEST_TEXT) for part in entry}
                pairs[texts.get(1, "")] = texts.get(2, "")
        return pairs


def read_graph(path: FilePath) -> Graph:
    """Return the inputs and outputs of an ONNX file, and the versions of what it is written in.

    Raises:
        ModelFileError: the file cannot be read, is not an ONNX model, or has inputs without measure.
    """
    with _open_onnx(path) as model:
        versions: dict[str, int] = {}
        given: list[GraphTensor] = []
        made: list[GraphTensor] = []
        weights = set[str]()
        for field in model:
            if field.number == _IR:
                versions["IR"] = field.value
            elif field.number == _OPSETS:
                entry = model.part(field)
                parts = {part.number: part for part in entry}
                domain = entry.text(parts[1], LONGEST_NAME) if 1 in parts else ""
                versions[domain or "ai.onnx"] = parts[2].value if 2 in parts else 0
            elif field.number == _GRAPH:
                graph = model.part(field)
                for part in graph:
                    if part.number == _INITIALIZER:
                        weights.update(_texts(graph.part(part), _TENSOR_NAME))
                    elif part.number in (_INPUT, _OUTPUT):
                        tensors = given if part.number == _INPUT else made
                        tensors.append(_tensor(graph.part(part)))
                        if len(tensors) > MOST_TENSORS:
                            raise ValueError(f"it has more than {MOST_TENSORS} inputs or outputs")
        # files of old versions name their weights among the inputs
        return Graph(tuple(tensor for tensor in given if tensor.name not in weights), tuple(made), versions)


def _texts(message: Message, number: int) -> list[str]:
    return [message.text(field, LONGEST_NAME) for field in message if field.number == number]


def _tensor(value: Message) -> GraphTensor:
    """Read a ValueInfoProto: name 1, type 2; in it tensor_type 1; in it element type 1, shape 2; in it axes 1."""
    kind, axes = 0, None
    for holder in _inner(value, 2):
        for tensor in _inner(holder, 1):
            kind = next((field.value for field in tensor if field.number == 1), 0)
            for shape in _inner(tensor, 2):
                axes = tuple(map(_axis, _inner(shape, 1)))
    return GraphTensor("".join(_texts(value, 1)), _TYPES[kind] if kind < len(_TYPES) else f"type {kind}", axes)


def _axis(axis: Message) -> int | str:
    """Read a Dimension: its size 1, or its name 2."""
    size = next((field.value for field in axis if field.number == 1), 0)
    return size or "".join(_texts(axis, 2)) or "?"


def _inner(message: Message, number: int) -> list[Message]:
    return [message.part(field) for field in message if field.number == number]


def last_operator(path: FilePath, output: str) -> str:
    """Return the operator that an output of the graph comes from, those left out that change none of its meaning.

    "" if it comes from none: from an input, or from a weight.

    Raises:
        ModelFileError: the file cannot be read, or is not an ONNX model.
    """
    made, seen = _makers(path), set[str]()
    while output in made and output not in seen:
        seen.add(output)
        operator, output = made[output]
        if operator not in UNCHANGING:
            return operator
    return ""


def operators(path: FilePath) -> frozenset[str]:
    """Return the names of the graph's operators, but for those of graphs within it.

    Raises:
        ModelFileError: the file cannot be read, or is not an ONNX model.
    """
    return frozenset(operator for operator, _ in _makers(path).values())


def _makers(path: FilePath) -> dict[str, tuple[str, str]]:
    """Return each tensor's name to the operator that it comes from and the name of that one's first input."""
    with _open_onnx(path) as model:
        made: dict[str, tuple[str, str]] = {}
        for field in model:
            if field.number == _GRAPH:
                graph = model.part(field)
                made |= dict(pair for part in graph if part.number == _NODE for pair in _made(graph.part(part)))
        return made


def _made(node: Message) -> list[tuple[str, tuple[str, str]]]:
    """Return for each output of a node its name, with the operator and the name of the first input."""
    inputs, outputs, operator = [], [], ""
    for field in node:
        if field.number == 1:
            inputs.append(node.text(field, LONGEST_NAME))
        elif field.number == 2:
            outputs.append(node.text(field, LONGEST_NAME))
        elif field.number == 4:
            operator = node.text(field, LONGEST_NAME)
    return [(output, (operator, inputs[0] if inputs else "")) for output in outputs]


def external_file(path: FilePath) -> str | None:
    """Return the name of a file that some weights of an ONNX model lie in, "?" if none is told; None without one.

    Raises:
        ModelFileError: the file cannot be read, or is not an ONNX model.
    """
    with _open_onnx(path) as model:
        return next(_external_files(model, "model", 0), None)


def _external_files(message: Message, kind: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError("its graphs are nested too deeply")
    if kind == "tensor":
        fields = [field for field in message if field.number in (_EXTERNAL_DATA, _DATA_LOCATION)]
        entries = [_entry(message, field) for field in fields if field.number == _EXTERNAL_DATA]
        if entries or any(field.number == _DATA_LOCATION and field.value for field in fields):
            yield dict(entries).get("location", "?")
        return
    parts = _PARTS[kind]
    for field in message:
        if field.number in parts:
            yield from _external_files(message.part(field), parts[field.number], depth + 1)


def _entry(message: Message, field: Field) -> tuple[str, str]:
    entry = message.part(field)
    texts = {part.number: entry.text(part, LONGEST_NAME) for part in entry}
    return texts.get(1, ""), texts.get(2, "")


@contextlib.contextmanager
def _open_onnx(path: FilePath) -> Iterator[Message]:
    """Map an ONNX file into memory and yield it; what is wrong with it, then or later, is a ModelFileError."""
    with open_model(path) as file:
        try:
            if os.fstat(file.fileno()).st_size == 0:
                raise ValueError("it has no graph")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                model = Message(data)
                if not any(field.number == _GRAPH and field.end > field.start for field in model):
                    raise ValueError("it has no graph")
                yield model
        except ValueError as error:
            raise ModelFileError(
                f"{path} is not an ONNX model, or is truncated ({error}); export or copy it again"
            ) from error
