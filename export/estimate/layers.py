"""What each operator of a graph has to do: multiply-adds, elements, bytes; and which kernel of ONNX Runtime does it."""

import math
from collections import defaultdict
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto

from edgevit.artifact.files import open_model
from edgevit.errors import ModelFileError, OptionError
from edgevit.export.estimate.operation import Operation, bytes_per_element
from edgevit.export.onnx.graph import constants, count_macs, integer, shapes

FREE = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Constant", "Shape", "Dropout")
"""Operators that only rename what is there."""
SIMPLE = (
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Neg", "Abs", "Sqrt", "Reciprocal", "Pow", "Exp", "Log", "Erf", "Tanh"),
    *("Sigmoid", "Relu", "LeakyRelu", "PRelu", "Clip", "Floor", "Round", "Equal", "Where", "Cast", "Sum", "Mean"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ArgMax", "Range"),
    *("Transpose", "Concat", "Split", "Slice", "Gather", "Pad", "Expand", "Tile", "Resize", "Upsample", "DepthToSpace"),
    *("SpaceToDepth", "DynamicQuantizeLinear", "ConstantOfShape", "BatchNormalization", "InstanceNormalization"),
)
"""Operators that pass over their elements once or a few times."""
INTEGER = {
    "QLinearConv": (0, 3),
    "ConvInteger": (0, 1),
    "QLinearMatMul": (0, 3),
    "MatMulInteger": (0, 1),
}
"""int8 operators of other tools' files, to the places of the data and the weights among their inputs."""
SLOW = ("Gelu", "HardSwish", "HardSigmoid", "Softmax", "LayerNormalization", "AveragePool")
"""Operators that compute a function for each element; each is a kind of its own."""
FUSED = ("Relu", "Clip")
"""Activations that ONNX Runtime computes within the convolution before them."""

BYTEWISE = {"Sigmoid": "int8 lookup", "LeakyRelu": "int8 lookup", "Mul": "int8 arithmetic", "Add": "int8 arithmetic"}
"""Operators between int8 borders that ONNX Runtime computes on bytes, from a table or two at a time, to their kind.

Sigmoid and Mul were counted; the other two share their kernels' form.
"""


def read_operations(path: Path, imgsz: tuple[int, int] | None = None) -> list[Operation]:
    """Return the operators of an ONNX file in order, for a batch of 1 where the batch is open.

    Args:
        path: the file.
        imgsz: (height, width) of the input in pixels, where the file leaves it open.

    Raises:
        ModelFileError: the file cannot be read, does not tell a shape that is needed, or makes no sense.
        OptionError: it takes images of any size, and none is given.
    """
    with open_model(path) as file:
        content = file.read()
    try:
        model = ModelProto.FromString(content)
        if not model.graph.node:
            raise ModelFileError(f"{path} is not an ONNX model; export or copy it again")
        _close_axes(model, path, imgsz)
        _close_suppressions(model)
        return _Reader(model).operations()
    except (ModelFileError, OptionError):
        raise
    except (DecodeError, ValueError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelFileError(
            f"{path} is not an ONNX model, or is damaged ({reason}); export or copy it again"
        ) from error
    except (IndexError, RecursionError) as error:
        raise ModelFileError(f"an operator of {path} lacks inputs or axes; export or copy it again") from error


def _close_axes(model: ModelProto, path: Path, imgsz: tuple[int, int] | None) -> None:
    """Give every open axis of the inputs a size, the batch 1, and forget what then follows from them, in place."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        axes = value.type.tensor_type.shape.dim
        if value.name in weights or all(axis.dim_value for axis in axes):
            continue
        if len(axes) == 4:
            first = 1 if axes[3].dim_value in (1, 3) and axes[1].dim_value not in (1, 3) else 2
            for axis, side in zip(axes[first : first + 2], imgsz or (0, 0), strict=True):
                if not axis.dim_value and not side:
                    raise OptionError(f"{path} takes images of any size; give the one to estimate for (--imgsz 224)")
                axis.dim_value = axis.dim_value or side
        for axis in axes:
            axis.dim_value = axis.dim_value or (3 if len(axes) == 4 and axis is not axes[0] else 1)
    known = []
    for value in graph.value_info:
        axes = value.type.tensor_type.shape.dim
        if axes and not axes[0].dim_value:
            axes[0].dim_value = 1
        if all(axis.dim_value for axis in axes):
            known.append(value)
    del graph.value_info[:]
    graph.value_info.extend(known)
    for value in graph.output:
        if not all(axis.dim_value for axis in value.type.tensor_type.shape.dim):
            value.type.tensor_type.ClearField("shape")


def _close_suppressions(model: ModelProto) -> None:
    """Let each NonMaxSuppression find as many boxes as it may of one class, as nobody knows how many it will."""
    limits = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "NonMaxSuppression" and len(node.input) > 2 and node.input[2] in limits:
            rows = int(onnx.numpy_helper.to_array(limits[node.input[2]]).reshape(-1)[0])
            found = onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.INT64, (rows, 3))
            model.graph.value_info.append(found)


class _Reader:
    """A graph, the shapes of its tensors, and who reads what."""

    def __init__(self, model: ModelProto) -> None:
        self._nodes = model.graph.node
        self._shapes, self._constants = shapes(model, with_values=True), constants(model)
        self._made_by = {name: node for node in self._nodes for name in node.output}
        self._read_by: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self._nodes:
            for name in node.input:
                self._read_by[name].append(node)

    def operations(self) -> list[Operation]:
        return [self._operation(node) for node in self._nodes]

    def _operation(self, node: NodeProto) -> Operation:
        kind = self._kind(node)
        if kind == "free":
            return Operation(node.op_type, kind, 0, 0, 0)
        made = sum(math.prod(self._shape(name)) for name in node.output if name)
        read = sum(math.prod(self._shapes[name]) for name in node.input if name in self._shapes)
        priced = kind != "simple" or node.op_type in SIMPLE
        priced = priced and node.op_type != "ConvTranspose"
        size = bytes_per_element(kind)
        return Operation(node.op_type, kind, self._macs(node), made, int((made + read) * size), priced)

    def _kind(self, node: NodeProto) -> str:
        operator = node.op_type
        if operator in FREE or (operator in FUSED and self._made(node, 0) == "Conv"):
            return "free"
        if operator == "Cast" and self._is_constant(node.input[0]):
            return "free"  # weights stored as float16 are widened once, when the file is loaded
        if operator in SLOW:
            return operator
        prefix = "int8 " if self._is_int8(node) else ""
        if prefix and operator in BYTEWISE:
            return BYTEWISE[operator]
        if operator == "Conv":
            weights = self._shape(node.input[1])
            if integer(node, "group", 1) > 1 and weights[1] == 1:
                # ONNX Runtime has a kernel of its own for 3 x 3
                return f"{prefix}depthwise" if prefix or weights[2:] == (3, 3) else "wide depthwise"
            return f"{prefix}{'pointwise' if math.prod(weights[2:]) == 1 else 'convolution'}"
        if operator == "ConvTranspose":
            return "convolution"
        if operator in INTEGER:
            weights = self._shape(node.input[INTEGER[operator][1]])
            if not operator.endswith(("Conv", "ConvInteger")):
                return "int8 matrix"
            if integer(node, "group", 1) > 1 and weights[1] == 1:
                return "int8 depthwise"
            return f"int8 {'pointwise' if math.prod(weights[2:]) == 1 else 'convolution'}"
        if operator in ("Gemm", "MatMul"):
            return f"{prefix}matrix" if self._is_constant(node.input[1]) else "product"
        if operator in ("QuantizeLinear", "DequantizeLinear"):
            return self._kind_of_border(node)
        return "simple"

    def _kind_of_border(self, node: NodeProto) -> str:
        """Tell whether a change between int8 and float is computed at all, or is part of an int8 kernel."""
        if self._is_constant(node.input[0]):
            return "free"
        if node.op_type == "QuantizeLinear":
            before = self._made_by.get(node.input[0])
            within = before is not None and before.op_type in ("Conv", *BYTEWISE) and self._is_int8(before)
            return "free" if within else "quantize"
        readers = self._read_by[node.output[0]]
        return "free" if readers and all(self._is_int8(reader) for reader in readers) else "dequantize"

    def _is_int8(self, node: NodeProto) -> bool:
        if node.op_type in BYTEWISE:
            after = self._read_by[node.output[0]]
            read = all(self._made(node, number) == "DequantizeLinear" for number in range(len(node.input)))
            return read and bool(after) and all(reader.op_type == "QuantizeLinear" for reader in after)
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
            return False
        if not self._made(node, 0) == self._made(node, 1) == "DequantizeLinear":
            return False
        after = self._read_by[node.output[0]]
        return node.op_type != "Conv" or any(reader.op_type == "QuantizeLinear" for reader in after)

    def _macs(self, node: NodeProto) -> int:
        if places := INTEGER.get(node.op_type):
            left, right = (self._shape(node.input[place]) for place in places)
            each = left[-1] if "MatMul" in node.op_type else math.prod(right[1:])
            return math.prod(self._shape(node.output[0])) * each
        return count_macs(node, {name: self._shape(name) for name in (*node.input[:2], *node.output) if name})

    def _made(self, node: NodeProto, number: int) -> str:
        """Return the operator that makes an input."""
        before = self._made_by.get(node.input[number])
        return "" if before is None else str(before.op_type)

    def _is_constant(self, name: str) -> bool:
        before = self._made_by.get(name)
        if before is not None and before.op_type in ("DequantizeLinear", "Cast", "Transpose", "Reshape", "Identity"):
            return self._is_constant(before.input[0])
        return name in self._constants

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes.get(name)
        if shape is None:
            raise ModelFileError(
                f"the file does not tell the shape of {name!r}, and it cannot be inferred; export it for one input size"
            )
        return shape
