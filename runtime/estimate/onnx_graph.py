"""The operators of an ONNX file and the shapes of its tensors, read without the onnx package and without its weights.

Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgevit.artifact.files import open_model
from edgevit.errors import ModelFileError

Shape = tuple[int, ...]
Value = int | memoryview

_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Node:
    """One operator."""

    operator: str
    inputs: tuple[str, ...]
    """"" for one that is left out."""
    outputs: tuple[str, ...]
    integers: Mapping[str, tuple[int, ...]]
    """Attributes that are whole numbers, by name."""
    name: str = ""


@dataclass(frozen=True)
class Graph:
    """What is computed, in order."""

    nodes: tuple[Node, ...]
    shapes: Mapping[str, Shape]
    """Shapes of the tensors whose shape the file tells, with 0 where an axis is open."""
    constants: frozenset[str]
    """Tensors that are weights."""


def read_graph(path: Path) -> Graph:
    """Read an ONNX file's graph.

    Raises:
        ModelFileError: the file cannot be read, or is not an ONNX model.
    """
    with open_model(path) as file:
        content = memoryview(file.read())
    try:
        graphs = [_part(value) for number, value in _fields(content) if number == _GRAPH]
        return _read_graph(graphs[-1])
    except (ValueError, IndexError) as error:
        raise ModelFileError(
            f"{path} is not an ONNX model, or is damaged ({error}); export or copy it again"
        ) from error


def _read_graph(content: memoryview) -> Graph:
    nodes: list[Node] = []
    shapes: dict[str, Shape] = {}
    constants: set[str] = set()
    for number, value in _fields(content):
        if number == _NODE:
            nodes.append(_read_node(_part(value)))
        elif number == _INITIALIZER:
            name, shape = _read_initializer(_part(value))
            shapes[name] = shape
            constants.add(name)
        elif number in (_INPUT, _OUTPUT, _VALUE_INFO):
            name, shape = _read_value_info(_part(value))
            shapes.setdefault(name, shape)
    return Graph(tuple(nodes), shapes, frozenset(constants))


def _read_node(content: memoryview) -> Node:
    inputs, outputs, integers = [], [], {}
    name = operator = ""
    for number, value in _fields(content):
        match number:
            case 1:
                inputs.append(_text(value))
            case 2:
                outputs.append(_text(value))
            case 3:
                name = _text(value)
            case 4:
                operator = _text(value)
            case 5:
                attribute, numbers = _read_attribute(_part(value))
                integers[attribute] = numbers
    return Node(operator, tuple(inputs), tuple(outputs), integers, name)


def _read_attribute(content: memoryview) -> tuple[str, tuple[int, ...]]:
    name, numbers = "", list[int]()
    for number, value in _fields(content):
        if number == 1:
            name = _text(value)
        elif number in (3, 8):
            numbers += _integers(value)
    return name, tuple(numbers)


def _read_initializer(content: memoryview) -> tuple[str, Shape]:
    name, shape = "", list[int]()
    for number, value in _fields(content):
        if number == 1:
            shape += _integers(value)
        elif number == 8:
            name = _text(value)
    return name, tuple(shape)


def _read_value_info(content: memoryview) -> tuple[str, Shape]:
    """ValueInfoProto: name, type.tensor_type.shape.dim[].dim_value."""
    name, shape = "", list[int]()
    for number, value in _fields(content):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for dimension in _all(_all([_part(value)], 1), 2, 1):
                given = [size for field, size in _fields(dimension) if field == 1 and isinstance(size, int)]
                shape.append(given[0] if given else 0)
    return name, tuple(shape)


def _all(contents: list[memoryview], *path: int) -> list[memoryview]:
    """Return the messages that a path of field numbers leads to."""
    for wanted in path:
        contents = [_part(value) for content in contents for number, value in _fields(content) if number == wanted]
    return contents


def _fields(content: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield (field number, number or content) of one protobuf message; ValueError where it is none."""
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if wire == _LENGTH:
            length, position = _varint(content, position)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no protobuf field at byte {position}")
        if position + length > len(content):
            raise ValueError("it ends within a field")
        yield number, content[position : position + length]
        position += length


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """Return a number, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("it ends within a number")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"no protobuf number at byte {position}")


def _integers(value: Value) -> list[int]:
    """Return one number, or those packed into a field."""
    if isinstance(value, int):
        return [value]
    numbers, position = list[int](), 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _part(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a message is expected")
    return value


def _text(value: Value) -> str:
    return bytes(_part(value)).decode(errors="replace")
