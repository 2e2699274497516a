"""Calibration ranges and the int8 graph, on networks small enough to check by hand."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgevit.device_profiles.profile import Scheme
from edgevit.export.layers import int8_share
from edgevit.export.onnx.calibrate import calibrate, minmax_ranges, with_extremes
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.quantize import Preset, calibrated_tensors, float_layers, preset_layers, quantize


@pytest.fixture
def network() -> ModelProto:
    """Conv 3x3 (3 to 16), ReLU, mean over space, product of two activations, then Gemm to 4 classes."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "cw", "cb"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("ReduceMean", ["r", "axes"], ["m"], name="mean", keepdims=0),
        helper.make_node("Transpose", ["m"], ["t"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["t", "m"], ["outer"], name="attention"),
        helper.make_node("MatMul", ["m", "outer"], ["s"], name="values"),
        helper.make_node("Gemm", ["s", "gw", "gb"], ["logits"], name="head", transB=1),
    ]
    weights = {"cw": (16, 3, 3, 3), "cb": (16,), "gw": (4, 16), "gb": (4,)}
    tensors = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name) for name, shape in weights.items()
    ]
    tensors.append(numpy_helper.from_array(np.array([2, 3], np.int64), "axes"))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 4))],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def images(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32) for i in range(count)]


PLAIN = Preset()


def to_int8(model: ModelProto, preset: Preset = PLAIN) -> ModelProto:
    ranges = calibrate(model, calibrated_tensors(model), lambda: images(32))
    return quantize(model, preset_layers(model, preset), ranges)


def share(model: ModelProto, int8: ModelProto) -> float:
    every = layers(model)
    return int8_share(every, float_layers(every, int8))


def run(model: ModelProto, image: np.ndarray, output: str = "logits") -> np.ndarray:
    options = ort.SessionOptions()
    # the usual int8 kernels of x86 processors without VNNI overflow
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([output], {"image": image})[0])


def test_ranges_are_the_extremes_over_all_images(network: ModelProto) -> None:
    batches = images(5)
    ranges = minmax_ranges(network, ["image", "logits"], batches)
    assert ranges["image"] == (min(b.min() for b in batches), max(b.max() for b in batches))
    logits = np.concatenate([run(network, batch) for batch in batches])
    np.testing.assert_allclose(ranges["logits"], (logits.min(), logits.max()), rtol=1e-6)


def test_calibration_keeps_two_numbers_for_each_tensor_whatever_its_size(network: ModelProto) -> None:
    watched = with_extremes(network, ["c"])
    added = [value for value in watched.graph.output if value.name != "logits"]
    assert [len(value.type.tensor_type.shape.dim) for value in added] == [0, 0]


def test_int8_answers_stay_close_to_float(network: ModelProto) -> None:
    int8 = to_int8(network)
    for image in images(8):
        expected = run(network, image)
        np.testing.assert_allclose(run(int8, image), expected, atol=0.05 * np.abs(expected).max())


def test_int8_share_counts_the_layers_that_run_in_int8(network: ModelProto) -> None:
    conv, products, head = 16 * 8 * 8 * 27, 16 * 16 + 16 * 16, 16 * 4
    everything = to_int8(network)
    assert share(network, everything) == pytest.approx((conv + head) / (conv + products + head))
    without_head = to_int8(network, Preset(float_heads=1))
    assert share(network, without_head) == pytest.approx(conv / (conv + products + head))


def test_a_float_model_has_no_int8_share(network: ModelProto) -> None:
    assert share(network, network) == 0.0


def test_products_of_two_activations_always_stay_float(network: ModelProto) -> None:
    assert preset_layers(network, Preset()) == {"attention", "values"}
    assert preset_layers(network, Preset(float_stem=1, float_heads=1)) == {"conv", "attention", "values", "head"}


def test_int8_weights_are_stored_as_bytes_with_a_scale_for_each_channel(network: ModelProto) -> None:
    int8 = to_int8(network)
    tensors = {tensor.name: tensor for tensor in int8.graph.initializer}
    assert tensors["cw_quantized"].data_type == TensorProto.INT8
    assert tuple(tensors["cw_scale"].dims) == (16,)
    assert "cw" not in tensors


@pytest.mark.parametrize(("scheme", "kind"), [("U8S8", TensorProto.UINT8), ("S8S8", TensorProto.INT8)])
def test_scheme_names_the_types_of_activations_and_weights(network: ModelProto, scheme: Scheme, kind: int) -> None:
    ranges = calibrate(network, calibrated_tensors(network), lambda: images(32))
    int8 = quantize(network, preset_layers(network, PLAIN), ranges, scheme)
    tensors = {tensor.name: tensor for tensor in int8.graph.initializer}
    quantizers = [node for node in int8.graph.node if node.op_type == "QuantizeLinear"]
    assert {tensors[node.input[2]].data_type for node in quantizers} == {kind}
    assert tensors["cw_quantized"].data_type == TensorProto.INT8
    for image in images(4):
        expected = run(network, image)
        np.testing.assert_allclose(run(int8, image), expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize(("added", "step"), [(False, 63 / 255), (True, 360 / 255)])
def test_values_that_only_hardswish_reads_have_no_levels_where_it_is_zero(added: bool, step: float) -> None:
    """A sum that reads them too needs all of them."""
    nodes = [
        helper.make_node("Conv", ["image", "one"], ["wide"], name="first"),
        helper.make_node("HardSwish", ["wide"], ["h"], name="act"),
        helper.make_node("Conv", ["h", "two"], ["last"], name="second"),
        *([helper.make_node("Add", ["last", "wide"], ["sum"], name="add")] if added else []),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 2, 2)) for name in ("image", nodes[-1].output[0])
    ]
    weights = [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), name) for name in ("one", "two")]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    wide, positive = (-300.0, 60.0), (0.0, 60.0)
    ranges = {"image": wide, "wide": wide, "h": positive, "last": positive}
    int8 = quantize(onnx.shape_inference.infer_shapes(model), (), ranges)
    (scale,) = (numpy_helper.to_array(tensor) for tensor in int8.graph.initializer if tensor.name == "wide_scale")
    assert float(scale) == pytest.approx(step, rel=1e-6)
