"""Questions about an ONNX graph: its constants, its shapes, its multiply-accumulates, the values inside it."""

import math
from collections.abc import Iterable, Mapping

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgevit.export.layers import Layer, block_name

COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose multiply-accumulates are counted."""


def constants(model: ModelProto) -> set[str]:
    """Return the names of the graph's initializers and Constant outputs."""
    names = {tensor.name for tensor in model.graph.initializer}
    return names | {node.output[0] for node in model.graph.node if node.op_type == "Constant"}


def shapes(model: ModelProto, *, with_values: bool = False) -> dict[str, tuple[int, ...]]:
    """Return the static shape of every tensor whose shape is known; `with_values`, also of those computed as such."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=with_values)
    graph = inferred.graph
    known = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            known[value.name] = tuple(dim.dim_value for dim in dims)
    return known


def layers(model: ModelProto) -> list[Layer]:
    """Return the graph's convolutions and matrix products, in its order."""
    known, fixed = shapes(model), constants(model)
    return [
        Layer(
            node.name,
            node.op_type,
            next((name for name in node.input[:2] if name in fixed), None),
            node.output[0],
            count_macs(node, known),
            _block(node),
        )
        for node in model.graph.node
        if node.op_type in COUNTED
    ]


def count_macs(node: NodeProto, known: Mapping[str, tuple[int, ...]]) -> int:
    """Return the multiply-accumulates of a convolution or matrix product, given its tensors' shapes; 0 for others."""
    if node.op_type not in COUNTED:
        return 0
    left, right = known[node.input[0]], known[node.input[1]]
    if node.op_type == "Conv":  # weight (out, in / groups, kh, kw)
        return math.prod(known[node.output[0]]) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":  # weight (in, out / groups, kh, kw)
        return math.prod(left) * math.prod(right[1:])
    transposed = node.op_type == "Gemm" and integer(node, "transA")
    return math.prod(known[node.output[0]]) * left[-2 if transposed else -1]


def integer(node: NodeProto, name: str, default: int = 0) -> int:
    """Return an attribute that is a whole number, or its default where the node does not have it."""
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def with_outputs(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """Return the model with inner float32 tensors as further outputs, under their own names."""
    result = ModelProto()
    result.CopyFrom(model)
    known = {value.name for value in (*result.graph.input, *result.graph.output)}
    for name in tensors:
        if name not in known:
            result.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return result


def _block(node: NodeProto) -> str:
    parameter = next((name for name in node.input if name.endswith((".weight", ".bias"))), None)
    return str(node.name) if parameter is None else block_name(parameter.rpartition(".")[0])
