"""Boxes made inside an ONNX graph, on a model that finds squares by arithmetic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput
from edgevit.device_profiles import find_profile
from edgevit.export.estimate.estimate import estimate
from edgevit.export.onnx.detections import MOST, with_joined_boxes, with_normalization, with_suppression
from edgevit.runtime.detection.decode import decode
from edgevit.runtime.images.preprocess import preprocess
from tests.made_detector import BOXES, CELL, COARSE, FINE, PREPROCESS, SIZE, scene, squares_graph

PICTURE = scene(("red", 0, 2), ("blue", 1, 0))


def run(graph: onnx.ModelProto, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, {"image": values})]


def test_joined_boxes_are_centres_in_pixels_and_scores() -> None:
    graph, meaning = with_joined_boxes(squares_graph(), BOXES, SIZE)
    (found,) = run(graph, preprocess(PICTURE, PREPROCESS)[None])
    assert found.shape == (1, 4 + 3, FINE + COARSE)
    assert (meaning.decode, meaning.outputs) == ("joined", ("detections",))
    upper_right, lower_left = found[0, :, FINE + 2], found[0, :, FINE + 3]
    assert upper_right[:4].tolist() == [2.5 * CELL, 0.5 * CELL, CELL, CELL]
    assert lower_left[:4].tolist() == [0.5 * CELL, 1.5 * CELL, CELL, CELL]
    assert (upper_right[4] > 0.99, upper_right[5] < 0.01, lower_left[6] > 0.99) == (True, True, True)


def test_suppression_in_the_graph_tells_what_the_board_would() -> None:
    raw = run(squares_graph(), values := preprocess(PICTURE, PREPROCESS)[None])
    outside = decode([output[0] for output in raw], BOXES, SIZE)
    graph, meaning = with_suppression(squares_graph(), BOXES, SIZE)
    boxes, scores = run(graph, values)
    assert (boxes.shape, scores.shape) == ((1, MOST, 4), (1, MOST, 3))
    inside = decode([boxes[0], scores[0]], meaning, SIZE)
    np.testing.assert_allclose(inside.boxes, outside.boxes, atol=1e-4)
    np.testing.assert_allclose(inside.scores, outside.scores, atol=1e-5)
    assert inside.classes.tolist() == outside.classes.tolist()
    assert len(inside.boxes) == 2


def test_suppression_leaves_the_surer_of_two_boxes_of_a_class() -> None:
    """A constant model: two places on one object, and a third elsewhere."""
    wide = BoxOutput("yolox", (32,), boxes="boxes", scores="scores")
    raw = np.array([[[0.5, 0.5, 0, 0], [-0.45, 0.5, 0, 0], [0.5, 0.5, 0, 0]]], np.float32)
    logits = np.array([[[1.0, -9], [3.0, -9], [-9, 2.0]]], np.float32)
    nodes = [
        onnx.helper.make_node("Identity", ["raw"], ["boxes"]),
        onnx.helper.make_node("Identity", ["logits"], ["scores"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "constant",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 3, 32, 96))],
        [
            onnx.helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, (1, 3, 4)),
            onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, (1, 3, 2)),
        ],
        [onnx.numpy_helper.from_array(raw, "raw"), onnx.numpy_helper.from_array(logits, "logits")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    made, meaning = with_suppression(model, wide, (32, 96))
    boxes, scores = run(made, np.zeros((1, 3, 32, 96), np.float32))
    found = decode([boxes[0], scores[0]], meaning, (32, 96))
    # the second place's box has moved 0.95 strides to the left, so that it lies 1.6 pixels beside the first's
    expected = np.array([[1.6, 0, 33.6, 32], [64, 0, 96, 32]], np.float32)
    np.testing.assert_allclose(found.boxes, expected, atol=1e-4)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-2))], atol=1e-5)
    assert found.classes.tolist() == [0, 1]


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_graph_that_normalizes_takes_levels_from_0_to_1(channels: str) -> None:
    how = replace(PREPROCESS, channels=channels, mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 0.2))
    plain = replace(how, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    expected = run(squares_graph(), preprocess(PICTURE, how)[None])
    found = run(with_normalization(squares_graph(), how), preprocess(PICTURE, plain)[None])
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_time_of_a_graph_with_suppression_can_be_estimated(tmp_path: Path) -> None:
    graph, _ = with_suppression(squares_graph(), BOXES, SIZE)
    onnx.save(graph, tmp_path / "m.onnx")
    found = estimate(tmp_path / "m.onnx", find_profile("rpi4"))
    assert found.ms > 0
    assert found.unpriced == ("GatherND", "NonMaxSuppression", "OneHot", "TopK")
