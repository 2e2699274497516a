"""What each operator of a graph has to do: multiply-adds, elements, bytes; and which kernel of ONNX Runtime does it."""

import math
from collections import defaultdict
from dataclasses import dataclass

from edgevit.errors import ModelFileError
from edgevit.runtime.estimate.onnx_graph import Graph, Node, Shape

FREE = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Constant", "Shape", "Dropout")
"""Operators that only rename what is there."""
SLOW = ("Gelu", "HardSwish", "HardSigmoid", "Softmax", "LayerNormalization", "AveragePool")
"""Operators that compute a function for each element; each is a kind of its own."""
FUSED = ("Relu", "Clip")
"""Activations that ONNX Runtime computes within the convolution before them."""

SAME_SHAPE = ("QuantizeLinear", "DequantizeLinear", "Cast", "Sigmoid", "LeakyRelu")
"""Operators that an int8 or half-precision export adds without telling their outputs' shapes: those of their inputs."""

BYTEWISE = {"Sigmoid": "int8 lookup", "LeakyRelu": "int8 lookup", "Mul": "int8 arithmetic", "Add": "int8 arithmetic"}
"""Operators between int8 borders that ONNX Runtime computes on bytes, from a table or two at a time, to their kind.

Sigmoid and Mul were counted; the other two share their kernels' form.
"""

BORDERS = ("quantize", "dequantize")
"""Kinds of the changes between float and int8."""


@dataclass(frozen=True)
class Layer:
    """One operator's work, for one batch."""

    operator: str
    kind: str
    """Which kernel: "pointwise", "convolution", "depthwise", "matrix", each with "int8 " in front if it is; "wide
    depthwise" (float, larger than 3 x 3); "product" of two activations; one of SLOW, BYTEWISE or BORDERS; "simple" for
    all else; "free"."""
    macs: int
    elements: int
    """That it writes."""
    bytes: int
    """That it reads and writes, weights included."""


def find_layers(graph: Graph) -> list[Layer]:
    """Return the operators in order.

    Raises:
        ModelFileError: the file does not tell a shape that is needed, or makes no sense.
    """
    try:
        return Reader(graph).layers()
    except (IndexError, RecursionError) as error:
        raise ModelFileError("an operator lacks inputs or axes; export or copy the file again") from error


class Reader:
    """A graph, its shapes made complete, and who reads what."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made_by = {name: node for node in graph.nodes for name in node.outputs}
        self._read_by: dict[str, list[Node]] = defaultdict(list)
        self._shapes = dict(graph.shapes)
        for node in graph.nodes:
            for name in node.inputs:
                self._read_by[name].append(node)
            if node.operator in SAME_SHAPE and node.inputs[0] in self._shapes:
                self._shapes.setdefault(node.outputs[0], self._shapes[node.inputs[0]])

    def layers(self) -> list[Layer]:
        return [self._layer(node) for node in self._graph.nodes]

    def _layer(self, node: Node) -> Layer:
        kind = self._kind(node)
        if kind == "free":
            return Layer(node.operator, kind, 0, 0, 0)
        made = sum(math.prod(self._shape(name)) for name in node.outputs if name)
        read = sum(math.prod(self._shape(name)) for name in node.inputs if name in self._shapes)
        # one side of a border is a byte an element, the other four
        size = 2.5 if kind in BORDERS else 1 if kind.startswith("int8 ") else 4
        return Layer(node.operator, kind, self._macs(node), made, int((made + read) * size))

    def _kind(self, node: Node) -> str:
        operator = node.operator
        if operator in FREE or (operator in FUSED and self._made(node, 0) == "Conv"):
            return "free"
        if operator == "Cast" and self._is_constant(node.inputs[0]):
            return "free"  # weights stored as float16 are widened once, when the file is loaded
        if operator in SLOW:
            return operator
        prefix = "int8 " if self._is_int8(node) else ""
        if prefix and operator in BYTEWISE:
            return BYTEWISE[operator]
        if operator == "Conv":
            weights = self._shape(node.inputs[1])
            if self._group(node) > 1 and weights[1] == 1:
                # ONNX Runtime has a kernel of its own for 3 x 3
                return f"{prefix}depthwise" if prefix or weights[2:] == (3, 3) else "wide depthwise"
            return f"{prefix}{'pointwise' if math.prod(weights[2:]) == 1 else 'convolution'}"
        if operator in ("Gemm", "MatMul"):
            return f"{prefix}matrix" if self._is_constant(node.inputs[1]) else "product"
        if operator in ("QuantizeLinear", "DequantizeLinear"):
            return self._kind_of_border(node)
        return "simple"

    def _kind_of_border(self, node: Node) -> str:
        """Tell whether a change between int8 and float is computed at all, or is part of an int8 kernel."""
        if self._is_constant(node.inputs[0]):
            return "free"
        if node.operator == "QuantizeLinear":
            before = self._made_by.get(node.inputs[0])
            within = before is not None and before.operator in ("Conv", *BYTEWISE) and self._is_int8(before)
            return "free" if within else "quantize"
        readers = self._read_by[node.outputs[0]]
        return "free" if readers and all(self._is_int8(reader) for reader in readers) else "dequantize"

    def _is_int8(self, node: Node) -> bool:
        if node.operator in BYTEWISE:
            after = self._read_by[node.outputs[0]]
            read = all(self._made(node, number) == "DequantizeLinear" for number in range(len(node.inputs)))
            return read and bool(after) and all(reader.operator == "QuantizeLinear" for reader in after)
        if node.operator not in ("Conv", "Gemm", "MatMul") or len(node.inputs) < 2:
            return False
        if not self._made(node, 0) == self._made(node, 1) == "DequantizeLinear":
            return False
        after = self._read_by[node.outputs[0]]
        return node.operator != "Conv" or any(reader.operator == "QuantizeLinear" for reader in after)

    def _macs(self, node: Node) -> int:
        if node.operator == "Conv":
            weights = self._shape(node.inputs[1])
            return math.prod(self._shape(node.outputs[0])) * math.prod(weights[1:])
        if node.operator in ("Gemm", "MatMul"):
            left = self._shape(node.inputs[0])
            transposed = node.operator == "Gemm" and node.integers.get("transA", (0,)) == (1,)
            return math.prod(self._shape(node.outputs[0])) * left[-2 if transposed else -1]
        return 0

    def _group(self, node: Node) -> int:
        return node.integers.get("group", (1,))[0]

    def _made(self, node: Node, number: int) -> str:
        """Return the operator that makes an input."""
        before = self._made_by.get(node.inputs[number])
        return "" if before is None else before.operator

    def _is_constant(self, name: str) -> bool:
        before = self._made_by.get(name)
        if before is not None and before.operator in ("DequantizeLinear", "Cast", "Transpose", "Reshape", "Identity"):
            return self._is_constant(before.inputs[0])
        return name in self._graph.constants or (before is not None and before.operator == "Constant")

    def _shape(self, name: str) -> Shape:
        """Return a tensor's shape, 1 for an open batch."""
        shape = self._shapes.get(name)
        if shape is None:
            raise ModelFileError(f"the file does not tell the shape of {name!r}; export it with edgevit to estimate it")
        return tuple(size or 1 for size in shape)
