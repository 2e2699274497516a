"""Questions about a TFLite graph, and its form as Python objects: layers, their arithmetic, what runs in int8."""

import functools
import math
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators with constant weights, which int8 makes fast."""
CONSTANT_ALIGNMENT = 16
PRODUCT = "BATCH_MATMUL"
"""A product of two activations, as in attention."""


@dataclass(frozen=True)
class TfliteLayer:
    """One convolution or matrix product."""

    name: str
    """Name of its output tensor: the module's name in the state dict, and a number."""
    operator: str
    macs: int
    """Multiply-accumulates for one run at the graph's batch."""
    int8: bool
    """Whether the arithmetic is int8: the weights are, and activations too or once they are rounded image by image."""

    @property
    def module(self) -> str:
        return self.name.split(";")[0]


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


def tflite_layers(model: bytes) -> list[TfliteLayer]:
    """Return the graph's convolutions and matrix products, in its order."""
    tree = opened(model)
    tensors, disguised = tree.subgraphs[0].tensors, disguised_products(tree)
    return [
        TfliteLayer(
            tensors[item.outputs[0]].name.decode(),
            PRODUCT if tensors[item.outputs[0]].name.decode() in disguised else name,
            _macs(name, item, tensors),
            tensors[item.inputs[1]].type == schema.TensorType.INT8,
        )
        for name, item in operators(tree)
        if name in (*WEIGHTED, PRODUCT)
    ]


def int8_share(model: bytes) -> float:
    """Return which share of the model's multiply-accumulates is int8, 0..1; TFLite computes as the types say."""
    layers = tflite_layers(model)
    return sum(layer.macs for layer in layers if layer.int8) / sum(layer.macs for layer in layers)


def _macs(name: str, item: Any, tensors: Any) -> int:
    sizes = [tensors[index].shape for index in (item.outputs[0], *item.inputs[:2])]
    output, left, right = (tuple(map(int, size)) for size in sizes)
    if name == "DEPTHWISE_CONV_2D":  # weight (1, kh, kw, channels)
        return math.prod(output) * math.prod(right[1:3])
    if name == PRODUCT:
        return math.prod(output) * (left[-2] if item.builtinOptions.adjX else left[-1])
    return math.prod(output) * math.prod(right[1:])  # weight (out, kh, kw, in / groups) or (out, in)
