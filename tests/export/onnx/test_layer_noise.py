"""Noise of layers, on a network of two 1x1 convolutions whose rounding errors are known."""

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.images import ImageSet
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.layer_noise import layer_sqnr, with_outputs
from edgevit.export.onnx.quantize import OPERATORS, quantize
from edgevit.export.report.comparison import SideBySide

SHAPE = (1, 3, 2, 2)


def two_convolutions() -> onnx.ModelProto:
    """Return image -> first = image -> second = 2 * first -> logits = its mean over the picture, (1, 3)."""
    identity = np.eye(3, dtype=np.float32)[:, :, None, None]
    nodes = [
        helper.make_node("Conv", ["image", "one.weight"], ["first"], "one"),
        helper.make_node("Conv", ["first", "two.weight"], ["second"], "two"),
        helper.make_node("GlobalAveragePool", ["second"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["logits"], "flatten"),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(identity, "one.weight"), numpy_helper.from_array(2 * identity, "two.weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


RANGES = {"image": (0.0, 255.0), "first": (0.0, 255.0), "second": (0.0, 510.0)}
"""Steps of 1, 1 and 2: whole numbers up to 255 pass without error, and x.25 loses 0.25."""
WHOLE = np.arange(12, dtype=np.float32).reshape(SHAPE)


def test_whole_numbers_have_no_noise() -> None:
    """Weights 1 and 2 are 127 steps of 1/127 and of 2/127, so that nothing is rounded beyond float32's own errors."""
    graph = two_convolutions()
    found = layer_sqnr(graph, quantize(graph, [], RANGES), [WHOLE])
    assert list(found) == ["one", "two"]
    assert all(value is None or value > 120 for value in found.values())


def test_lost_quarter_is_the_noise_of_both_layers() -> None:
    """Every value is 4.25 and becomes 4: 17 times the error, in the second layer as in the first."""
    graph = two_convolutions()
    found = layer_sqnr(graph, quantize(graph, [], RANGES), [np.full(SHAPE, 4.25, np.float32)] * 3)
    assert found == {name: pytest.approx(20 * math.log10(17), abs=1e-3) for name in ("one", "two")}


def test_noise_is_summed_over_inputs_and_not_averaged_in_decibels() -> None:
    """Only the first of 4.25 and 8 has an error: signal 4.25^2 + 8^2, noise 0.25^2."""
    graph = two_convolutions()
    inputs = [np.full(SHAPE, value, np.float32) for value in (4.25, 8.0)]
    found = layer_sqnr(graph, quantize(graph, [], RANGES), inputs)
    assert found["one"] == pytest.approx(10 * math.log10((4.25**2 + 8**2) / 0.25**2), abs=1e-3)


def test_float_layer_still_carries_the_noise_before_it() -> None:
    graph = two_convolutions()
    found = layer_sqnr(graph, quantize(graph, ["two"], RANGES), [np.full(SHAPE, 4.25, np.float32)])
    assert found["two"] == pytest.approx(20 * math.log10(17), abs=1e-3)


def test_sensitivity_is_that_of_one_layer_alone() -> None:
    """Alone, the first layer rounds 4.25 to 4; the second rounds its input to 4 and its output, 8, to 10.

    Preprocessing makes 4.25 of level 17.
    """
    graph = two_convolutions()
    coarse = {**RANGES, "second": (0.0, 510.0 * 5)}
    models = SideBySide(
        suffix=".onnx",
        float_model=graph.SerializeToString(),
        model=graph.SerializeToString(),
        layers=tuple(layers(graph)),
        operators=OPERATORS,
        noise=lambda inputs: {},
        only_int8=lambda name: quantize(graph, {"one", "two"} - {name}, coarse).SerializeToString(),
    )
    images = ImageSet("generated", (np.full((2, 2, 3), 17, np.uint8),))
    preprocessing = Preprocess(size=(2, 2), mean=(0.0, 0.0, 0.0), std=(4 / 255, 4 / 255, 4 / 255), crop_pct=1.0)
    found = models.sensitivity(images, preprocessing)
    assert found["one"] == pytest.approx(20 * math.log10(17), abs=1e-3)
    # 8 rounded to a multiple of 10 is 10, where 8.5 is right
    assert found["two"] == pytest.approx(20 * math.log10(8.5 / 1.5), abs=1e-3)


def test_further_outputs_leave_the_model_as_it_was() -> None:
    graph = two_convolutions()
    before = graph.SerializeToString()
    assert [output.name for output in with_outputs(graph, ["first", "logits"]).graph.output] == ["logits", "first"]
    assert graph.SerializeToString() == before
