"""Questions about a TFLite graph, and its form as Python objects: layers, their arithmetic, what runs in int8."""

import functools
import math
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edgevit.export.layers import Layer, block_name

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators with constant weights, which int8 makes fast."""
CONSTANT_ALIGNMENT = 16
PRODUCT = "BATCH_MATMUL"
"""A product of two activations, as in attention."""


def opened(model: bytes) -> Any:
    """Return the model as a tree of objects that may be changed."""
    return flatbuffer_utils.read_model_from_bytearray(model)


def packed(tree: Any) -> bytes:
    """Return a tree of objects as a model, each constant where TFLite's schema wants it: at a multiple of 16 bytes."""
    tree.buffers = [_AlignedBuffer(buffer.data, buffer.offset, buffer.size) for buffer in tree.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A constant; the generated class writes it where it happens to fall, byte by byte in Python."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802, the generated class's name
        if self.data is None:
            return super().Pack(builder)
        content = bytes(self.data)
        builder.Prep(CONSTANT_ALIGNMENT, len(content))
        data = builder.CreateByteVector(content)
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@functools.cache
def operator_names() -> dict[int, str]:
    """Return the name of each built-in operator's code."""
    return {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def operators(tree: Any) -> list[tuple[str, Any]]:
    """Return the name and the object of each operator, in order."""
    names = operator_names()
    codes = [flatbuffer_utils.get_builtin_code_from_operator_code(code) for code in tree.operatorCodes]
    return [(names[codes[item.opcodeIndex]], item) for item in tree.subgraphs[0].operators]


def disguised_products(tree: Any) -> set[str]:
    """Return the names of the fully connected layers whose weights are computed.

    The converter makes one of a product of two activations where there is one image and one head.
    """
    computed = {index for name, item in operators(tree) if name != "DEQUANTIZE" for index in item.outputs}
    tensors = tree.subgraphs[0].tensors
    return {
        tensors[item.outputs[0]].name.decode()
        for name, item in operators(tree)
        if name == "FULLY_CONNECTED" and item.inputs[1] in computed
    }


def layers(model: bytes) -> list[Layer]:
    """Return the graph's convolutions and matrix products, in its order."""
    tree = opened(model)
    tensors, disguised = tree.subgraphs[0].tensors, disguised_products(tree)
    found = []
    for operator, item in _products(tree):
        name = tensors[item.outputs[0]].name.decode()
        module = name.split(";")[0]
        weight = None if operator == PRODUCT or name in disguised else f"{module}.weight"
        kind = PRODUCT if name in disguised else operator
        found.append(Layer(name, kind, weight, name, multiply_adds(operator, item, tensors), block_name(module)))
    return found


def float_layers(model: bytes) -> tuple[str, ...]:
    """Return the names of the layers that compute in float, in the graph's order; TFLite computes as the types say."""
    tree = opened(model)
    tensors = tree.subgraphs[0].tensors
    return tuple(
        tensors[item.outputs[0]].name.decode()
        for _, item in _products(tree)
        if tensors[item.inputs[1]].type != schema.TensorType.INT8
    )


def _products(tree: Any) -> list[tuple[str, Any]]:
    return [(name, item) for name, item in operators(tree) if name in (*WEIGHTED, PRODUCT)]


def multiply_adds(name: str, item: Any, tensors: Any) -> int:
    """Return the multiply-adds of one of WEIGHTED, or of a PRODUCT."""
    sizes = [tensors[index].shape for index in (item.outputs[0], *item.inputs[:2])]
    output, left, right = (tuple(map(int, size)) for size in sizes)
    if name == "DEPTHWISE_CONV_2D":  # weight (1, kh, kw, channels)
        return math.prod(output) * math.prod(right[1:3])
    if name == PRODUCT:
        return math.prod(output) * (left[-2] if item.builtinOptions.adjX else left[-1])
    return math.prod(output) * math.prod(right[1:])  # weight (out, kh, kw, in / groups) or (out, in)
