"""Activation functions between int8 layers as a table lookup and one int8 product.

Between two int8 convolutions a function would be computed in float: dequantize, function, quantize, three passes over
four bytes an element. ONNX Runtime computes Sigmoid and LeakyRelu of an 8-bit tensor from a table of 256 entries, and a
product of two 8-bit tensors in one vectorized pass. So, in standard operators that it fuses:

    GELU(x)      ~  x * sigmoid(1.78 x)             the factor goes into the scale that x is read with
    HardSwish(x) =  x * clip(x / 6 + 1/2, 0, 1)     the clip is what rounding to 8 bits does at both ends
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

GELU_SLOPE = 1.78
"""Between 1.70, which keeps the largest error least (0.02), and 1.85, which keeps it least for small |x|."""


@dataclass(frozen=True)
class ActivationTable:
    """What an input is multiplied by: a function of the input in 256 steps."""

    function: str
    """ONNX operator that ONNX Runtime computes from a table."""
    attributes: dict[str, Any]
    read: float
    """The input's scale is multiplied by this before the function."""
    step: float
    """Change of the function's value for one step of the 8-bit gate."""
    zero: int
    """The gate's step at which the function is 0, counted from the lowest of 256."""
    meaning: float
    """What one step of the gate, counted from the lowest, multiplies by."""


GATES = {
    "Gelu": ActivationTable("Sigmoid", {}, GELU_SLOPE, 1 / 255, 0, 1 / 255),
    # a slope of 1 on both sides, so x itself; steps of 6/256 around 128 are x / 6 + 1/2 in steps of 1/256
    "HardSwish": ActivationTable("LeakyRelu", {"alpha": 1.0}, 1.0, 6 / 256, 128, 1 / 256),
}


def use_lookups(model: ModelProto) -> ModelProto:
    """Return an int8 graph whose functions between 8-bit tensors are lookups; its other GELUs take their tanh form.

    That form (Hendrycks and Gimpel, arXiv 1606.08415) differs from GELU by less than 5e-4 and costs an Arm processor
    half as much.

    Args:
        model: quantized; where both sides of a function are 8-bit, it stands between a DequantizeLinear and
            QuantizeLinears.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    producer = {output: node for node in graph.node for output in node.output}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        source = producer.get(node.input[0]) if node.op_type in GATES else None
        readers = [other.op_type for other in graph.node if node.output[0] in other.input]
        if source is not None and source.op_type == "DequantizeLinear" and set(readers) == {"QuantizeLinear"}:
            scale, zero = (values[name] for name in source.input[1:3])
            lookup, constants = _lookup(node, source.input[0], float(scale), zero)
            nodes += lookup
            graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
        else:
            nodes.append(node)
            if node.op_type == "Gelu":
                del node.attribute[:]
                node.attribute.append(helper.make_attribute("approximate", "tanh"))
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def _lookup(
    node: NodeProto, tensor: str, scale: float, zero: np.ndarray[Any, Any]
) -> tuple[list[NodeProto], dict[str, np.ndarray[Any, Any]]]:
    """Return what replaces `node`, whose input is the 8-bit `tensor` dequantized, and the constants for it."""
    gate, name = GATES[node.op_type], node.name or node.output[0]
    lowest = np.iinfo(zero.dtype).min
    constants = {
        f"{name}_read_scale": np.array(scale * gate.read, np.float32),
        f"{name}_read_zero": zero,
        f"{name}_gate_scale": np.array(gate.step, np.float32),
        f"{name}_gate_zero": np.array(lowest + gate.zero, zero.dtype),
        f"{name}_factor_scale": np.array(gate.meaning, np.float32),
        f"{name}_factor_zero": np.array(lowest, zero.dtype),
    }
    read, gated, factor = ([f"{name}_{part}_scale", f"{name}_{part}_zero"] for part in ("read", "gate", "factor"))
    step = [f"{name}_step{i}" for i in range(4)]
    nodes = [
        helper.make_node("DequantizeLinear", [tensor, *read], [step[0]], f"{name}_read"),
        helper.make_node(gate.function, [step[0]], [step[1]], f"{name}_function", **gate.attributes),
        helper.make_node("QuantizeLinear", [step[1], *gated], [step[2]], f"{name}_gate"),
        helper.make_node("DequantizeLinear", [step[2], *factor], [step[3]], f"{name}_factor"),
        helper.make_node("Mul", [node.input[0], step[3]], list(node.output), f"{name}_product"),
    ]
    return nodes, constants
