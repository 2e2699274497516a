"""What each operator of a TFLite graph has to do, by the kinds that are known of ONNX Runtime's kernels."""

import math
import struct
from collections import defaultdict
from copy import copy
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgevit.artifact.tflite import open_tflite
from edgevit.errors import ModelFileError, OptionError
from edgevit.export.estimate.operation import Operation, bytes_per_element
from edgevit.export.tflite_graph.graph import PRODUCT, WEIGHTED, multiply_adds, opened, operators

FREE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE")
FUNCTIONS = {
    "GELU": "Gelu",
    "HARD_SWISH": "HardSwish",
    "SOFTMAX": "Softmax",
    "AVERAGE_POOL_2D": "AveragePool",
}
"""Operators that compute a function for each element, to the ONNX operator whose price they have in float."""
LOOKUP = ("GELU", "HARD_SWISH", "LOGISTIC", "TANH", "SOFTMAX", "LEAKY_RELU", "RSQRT")
"""Operators that read a table where they are int8."""
UNARY = ("GELU", "HARD_SWISH", "LOGISTIC", "TANH")
"""Operators that become a table between DEQUANTIZE and QUANTIZE."""
SIMPLE = (
    *("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "RSQRT"),
    *("SQRT", "SQUARE", "SQUARED_DIFFERENCE", "NEG", "ABS", "EXP", "POW", "MEAN", "SUM", "REDUCE_MAX", "MAX_POOL_2D"),
    *("TRANSPOSE", "CONCATENATION", "PAD", "PADV2", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "PACK", "UNPACK"),
    *("GATHER", "TILE", "BROADCAST_TO", "CAST", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE"),
    *("SPACE_TO_DEPTH", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"),
)
"""Operators that pass over their elements once or a few times."""
INTEGERS = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16)


def read_operations(path: Path, imgsz: tuple[int, int] | None = None) -> list[Operation]:
    """Return the operators of a TFLite file's first graph in order, for a batch of 1 where the batch is open.

    Args:
        path: the file.
        imgsz: (height, width) that the input is expected to have in pixels; None for whatever it has.

    Raises:
        ModelFileError: the file cannot be read, or makes no sense.
        OptionError: its input has another size, or an open one, which only the interpreter can resolve.
    """
    with open_tflite(path):  # a file that is none is refused in a line
        content = path.read_bytes()
    try:
        tree = opened(content)
        tensors = tree.subgraphs[0].tensors
        _check_size(path, tensors[tree.subgraphs[0].inputs[0]], imgsz)
        constant = {i for i, tensor in enumerate(tensors) if tree.buffers[tensor.buffer].data is not None}
        return [_operation(name, item, tensors, constant) for name, item in fused(operators(tree), constant)]
    except OptionError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ModelFileError(f"{path} is damaged, or of a form that is not known; export or copy it again") from error


def _check_size(path: Path, given: Any, imgsz: tuple[int, int] | None) -> None:
    sides = [int(side) for side in given.shape]
    told = sides if given.shapeSignature is None else [int(side) for side in given.shapeSignature]
    if min(told[1:], default=1) < 1:
        raise OptionError(
            f"{path} takes images of any size, which --estimate cannot follow in TFLite; export it for one"
        )
    if imgsz is not None and imgsz not in (tuple(sides[1:3]), tuple(sides[2:4])):
        raise OptionError(f"{path} takes an input of {'x'.join(map(str, sides))}, not of {imgsz}; leave out --imgsz")


def fused(found: list[tuple[str, Any]], constant: set[int]) -> list[tuple[str, Any]]:
    """Return the operators with each function between DEQUANTIZE and QUANTIZE as one that reads a table of bytes.

    XNNPACK makes one of such three.
    """
    readers = defaultdict(list)
    for name, item in found:
        for index in item.inputs:
            readers[index].append((name, item))
    inside: dict[int, tuple[str, Any] | None] = {}
    for name, item in found:
        if name != "DEQUANTIZE" or item.inputs[0] in constant:
            continue
        chain = [(name, item)]
        for kinds in (UNARY, ("QUANTIZE",)):
            following = readers[chain[-1][1].outputs[0]]
            if len(following) == 1 and following[0][0] in kinds:
                chain += following
        if len(chain) == 3:
            table = copy(item)
            table.outputs = chain[2][1].outputs
            inside |= {id(part): None for _, part in chain[:2]} | {id(chain[2][1]): (chain[1][0], table)}
    placed = [inside.get(id(item), (name, item)) for name, item in found]
    return [each for each in placed if each is not None]


def _operation(name: str, item: Any, tensors: Any, constant: set[int]) -> Operation:
    kind, priced = _kind(name, item, tensors, constant)
    if kind == "free":
        return Operation(name, kind, 0, 0, 0)
    made = sum(_size(tensors[i]) for i in item.outputs)
    read = sum(_size(tensors[i]) for i in item.inputs if i >= 0)
    macs = multiply_adds(name, item, tensors) if name in (*WEIGHTED, PRODUCT) else 0
    return Operation(name, kind, macs, made, int((made + read) * bytes_per_element(kind)), priced)


def _kind(name: str, item: Any, tensors: Any, constant: set[int]) -> tuple[str, bool]:
    """Return the kind of an operator, and whether its price was counted of such."""
    if name in FREE or (name in ("DEQUANTIZE", "CAST", "TRANSPOSE") and item.inputs[0] in constant):
        return "free", True  # weights are widened or turned once, when the file is loaded
    first = tensors[item.inputs[0]].type in INTEGERS if len(item.inputs) else False
    if name in (*WEIGHTED, PRODUCT):
        weights = tensors[item.inputs[1]]
        prefix = "int8 " if weights.type in INTEGERS else ""
        if name == PRODUCT or item.inputs[1] not in constant and not prefix:
            return (f"{prefix}matrix" if prefix else "product"), True
        if name == "FULLY_CONNECTED":
            return f"{prefix}matrix", True
        window = tuple(weights.shape[1:3])
        if name == "DEPTHWISE_CONV_2D":
            return (f"{prefix}depthwise" if prefix or window == (3, 3) else "wide depthwise"), True
        return f"{prefix}{'pointwise' if math.prod(window) == 1 else 'convolution'}", True
    if name == "QUANTIZE":
        return ("int8 arithmetic" if first else "quantize"), True
    if name == "DEQUANTIZE":
        return "dequantize", True
    if first:
        return ("int8 lookup" if name in LOOKUP else "int8 arithmetic"), name in (*LOOKUP, *SIMPLE, *FUNCTIONS)
    return FUNCTIONS.get(name, "simple"), name in (*FUNCTIONS, *SIMPLE)


def _size(tensor: Any) -> int:
    return math.prod(int(side) for side in tensor.shape) if tensor.shape is not None else 1
