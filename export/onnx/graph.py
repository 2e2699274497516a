"""Questions about an ONNX graph: its constants, its shapes, its multiply-accumulates."""

import math

import onnx
from onnx import ModelProto, NodeProto

from edgevit.export.layers import Layer, block_name


def constants(model: ModelProto) -> set[str]:
    """Return the names of the graph's initializers and Constant outputs."""
    names = {tensor.name for tensor in model.graph.initializer}
    return names | {node.output[0] for node in model.graph.node if node.op_type == "Constant"}


def shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the static shape of every tensor whose shape is known."""
    inferred = onnx.shape_inference.infer_shapes(model)
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
            _macs(node, known),
            _block(node),
        )
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    ]


def _macs(node: NodeProto, known: dict[str, tuple[int, ...]]) -> int:
    left, right = known[node.input[0]], known[node.input[1]]
    if node.op_type == "Conv":  # weight (out, in / groups, kh, kw)
        return math.prod(known[node.output[0]]) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":  # weight (in, out / groups, kh, kw)
        return math.prod(left) * math.prod(right[1:])
    depth = left[-1]
    if node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute):
        depth = left[0]
    return math.prod(known[node.output[0]]) * depth


def _block(node: NodeProto) -> str:
    parameter = next((name for name in node.input if name.endswith((".weight", ".bias"))), None)
    return str(node.name) if parameter is None else block_name(parameter.rpartition(".")[0])
