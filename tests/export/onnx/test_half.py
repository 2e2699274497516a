"""Half-size storage of weights."""

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgevit.export.onnx.half import store_half


def linear(weight: np.ndarray) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, weight.shape[0]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, weight.shape[1]))],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model: ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


def test_half_file_computes_with_weights_rounded_to_float16() -> None:
    weight = np.random.default_rng(0).standard_normal((64, 32), np.float32)
    x = np.random.default_rng(1).standard_normal((1, 64), np.float32)
    expected = x @ weight.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(run(store_half(linear(weight)), x), expected, rtol=1e-5, atol=1e-5)


def test_half_file_is_half_the_size() -> None:
    model = linear(np.ones((256, 256), np.float32))
    assert store_half(model).ByteSize() < 0.51 * model.ByteSize()


def test_weights_beyond_float16_stay_float32() -> None:
    weight = np.full((64, 32), 1e6, np.float32)
    x = np.ones((1, 64), np.float32)
    np.testing.assert_array_equal(run(store_half(linear(weight)), x), run(linear(weight), x))


def test_the_given_model_is_left_alone() -> None:
    model = linear(np.ones((64, 32), np.float32))
    before = model.SerializeToString()
    store_half(model)
    assert model.SerializeToString() == before


def test_scales_of_an_int8_graph_stay_float32() -> None:
    scale, zero = np.linspace(0.1, 0.2, 300).astype(np.float32), np.zeros(300, np.int8)
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], axis=1)],
        "dequantize",
        [helper.make_tensor_value_info("x", TensorProto.INT8, (1, 300))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 300))],
        [numpy_helper.from_array(scale, "s"), numpy_helper.from_array(zero, "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    assert store_half(model) == model
