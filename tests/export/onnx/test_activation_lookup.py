"""GELU and HardSwish between int8 convolutions: what is written, what runs, and how far it is from the function."""

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgevit.export.onnx.activation_lookup import use_lookups
from edgevit.export.onnx.quantize import executed_graph

SCALE, ZERO = 0.05, 128
OUTPUT_SCALE, OUTPUT_ZERO = 0.03, 20
VALUES = (np.arange(256) - ZERO) * SCALE
"""What the 256 possible inputs stand for: -6.4 to 6.35."""


def between_int8(operator: str, *, signed: bool = False) -> ModelProto:
    """Return the graph: 8-bit input, dequantize, `operator`, quantize."""
    kind, offset = (np.int8, -128) if signed else (np.uint8, 0)
    element = TensorProto.INT8 if signed else TensorProto.UINT8
    constants: dict[str, np.ndarray] = {
        "scale": np.array(SCALE, np.float32),
        "zero": np.array(ZERO + offset, kind),
        "out_scale": np.array(OUTPUT_SCALE, np.float32),
        "out_zero": np.array(OUTPUT_ZERO + offset, kind),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["a"], "read"),
        helper.make_node(operator, ["a"], ["b"], "act"),
        helper.make_node("QuantizeLinear", ["b", "out_scale", "out_zero"], ["y"], "write"),
    ]
    graph = helper.make_graph(
        nodes,
        "between",
        [helper.make_tensor_value_info("x", element, (1, 256))],
        [helper.make_tensor_value_info("y", element, (1, 256))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def outputs(model: ModelProto, *, signed: bool = False) -> np.ndarray:
    """Return what the 256 possible inputs become, dequantized."""
    offset = -128 if signed else 0
    x = (np.arange(256) + offset).astype(np.int8 if signed else np.uint8)[None]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y = session.run(["y"], {"x": x})[0][0].astype(np.float64)
    return np.asarray((y - OUTPUT_ZERO - offset) * OUTPUT_SCALE)


def hardswish(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.clip(x / 6 + 0.5, 0, 1))


def gelu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x]))


@pytest.mark.parametrize("signed", [False, True])
def test_hardswish_is_exact_but_for_rounding(signed: bool) -> None:
    found = outputs(use_lookups(between_int8("HardSwish", signed=signed)), signed=signed)
    # half a step of the gate times the input, the gate's last step at 255/256, and half a step of the output
    bound = np.abs(VALUES) * 1 / 256 + OUTPUT_SCALE / 2 + 1e-6
    assert (np.abs(found - hardswish(VALUES)) <= bound).all()


@pytest.mark.parametrize("signed", [False, True])
def test_gelu_is_within_a_thirtieth(signed: bool) -> None:
    found = outputs(use_lookups(between_int8("Gelu", signed=signed)), signed=signed)
    assert np.abs(found - gelu(VALUES)).max() <= 0.033 + OUTPUT_SCALE / 2


@pytest.mark.parametrize("operator", ["Gelu", "HardSwish"])
def test_onnx_runtime_computes_nothing_in_float(operator: str) -> None:
    executed = executed_graph(use_lookups(between_int8(operator)))
    table = {"Gelu": "QLinearSigmoid", "HardSwish": "QLinearLeakyRelu"}[operator]
    assert sorted(node.op_type for node in executed.graph.node) == sorted([table, "QLinearMul"])


def float_gelu() -> ModelProto:
    """Return a graph with one GELU of a float tensor."""
    graph = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], "act")],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 256))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 256))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_gelu_of_a_float_tensor_stays_float_in_its_tanh_form() -> None:
    model = use_lookups(float_gelu())
    assert [node.op_type for node in model.graph.node] == ["Gelu"]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": VALUES[None].astype(np.float32)})[0][0]
    assert 0 < np.abs(found - gelu(VALUES)).max() < 5e-4


def test_the_given_graph_is_left_as_it_was() -> None:
    model = between_int8("Gelu")
    before = model.SerializeToString()
    use_lookups(model)
    assert model.SerializeToString() == before
