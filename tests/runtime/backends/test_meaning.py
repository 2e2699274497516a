"""What a model's numbers mean is decided once, by how its graph ends, or by the user."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgevit
from edgevit.artifact.onnx import last_operator
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment
from tests.places import SHARED

MODELS = SHARED / "cases" / "models"
PLAIN: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
"""Black is -1, grey 0, white 1."""
COLORS = ("red", "green", "blue")
BLACK, WHITE = (np.full((8, 8, 3), level, np.uint8) for level in (0, 255))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def make_ending(
    path: Path, ending: list[tuple[str, dict[str, Any]]], weights: NDArray[np.float32] | None = None
) -> Path:
    """Write a model whose logits are weights @ (-1 for black, 1 for white in each channel), before the ending."""
    weights = np.diag([2.0, -1.0, 0.5]).astype(np.float32) if weights is None else weights
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Gemm", ["channels", "w"], ["t0"], transB=1),
    ]
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.uint8), "zero"),
        numpy_helper.from_array(np.array([1, -1], np.int64), "row"),
    ]
    for number, (operator, attributes) in enumerate(ending):
        extra = {"Reshape": ["row"], "QuantizeLinear": ["scale", "zero"], "DequantizeLinear": ["scale", "zero"]}
        inputs = [f"t{number}", *extra.get(operator, [])]
        nodes.append(helper.make_node(operator, inputs, [f"t{number + 1}"], **attributes))
    graph = helper.make_graph(
        nodes,
        "ending",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info(f"t{len(ending)}", TensorProto.FLOAT, None)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


QUANTIZED: list[tuple[str, dict[str, Any]]] = [("QuantizeLinear", {}), ("DequantizeLinear", {})]
LOGITS = (2.0, -1.0, 0.5)
SHARES = tuple(math.exp(logit) / sum(map(math.exp, LOGITS)) for logit in LOGITS)
EACH = tuple(map(sigmoid, LOGITS))


@pytest.mark.parametrize(
    ("ending", "expected", "tolerance"),
    [
        ([], SHARES, 1e-6),
        ([("Identity", {})], SHARES, 1e-6),
        ([("Softmax", {})], SHARES, 1e-6),
        ([("LogSoftmax", {})], SHARES, 1e-6),
        ([("Sigmoid", {})], EACH, 1e-6),
        ([("Softmax", {}), *QUANTIZED], SHARES, 0.5 / 255),
        ([("Softmax", {}), ("Reshape", {}), ("Cast", {"to": TensorProto.FLOAT})], SHARES, 1e-6),
        ([("Sigmoid", {}), *QUANTIZED, ("Identity", {})], EACH, 0.5 / 255),
    ],
    ids=lambda value: "-".join(name for name, _ in value) or "none" if isinstance(value, list) else "",
)
def test_last_operators_tell_what_an_output_means(
    tmp_path: Path, ending: list[tuple[str, dict[str, Any]]], expected: tuple[float, ...], tolerance: float
) -> None:
    classifier = edgevit.load(make_ending(tmp_path / "m.onnx", ending), labels=COLORS, **PLAIN)
    assert classifier(WHITE).probs.tolist() == pytest.approx(expected, abs=tolerance + 1e-6)
    assert classifier.meaning.multi_label == (expected == EACH)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [("logits", SHARES), ("sigmoid", EACH)],
)
def test_user_says_what_the_outputs_are(tmp_path: Path, outputs: str, expected: tuple[float, ...]) -> None:
    path = make_ending(tmp_path / "m.onnx", [])
    result = edgevit.load(path, labels=COLORS, outputs=outputs, **PLAIN)(WHITE)
    assert result.probs.tolist() == pytest.approx(expected, rel=1e-5)


def test_logits_that_were_called_probabilities_are_an_error(tmp_path: Path) -> None:
    classifier = edgevit.load(make_ending(tmp_path / "m.onnx", []), labels=COLORS, outputs="probabilities", **PLAIN)
    with pytest.raises(ModelFileError, match="answers from -1 to 2, which are no probabilities; give outputs='logits'"):
        classifier(WHITE)
    with pytest.raises(OptionError, match="outputs is 'odds', expected logits, probabilities, sigmoid"):
        edgevit.load(tmp_path / "m.onnx", labels=COLORS, outputs="odds", **PLAIN)


@pytest.mark.parametrize("ending", [[], [("Sigmoid", {})]], ids=["logit", "sigmoid"])
@pytest.mark.parametrize(
    ("labels", "names"), [(("defect",), ("not defect", "defect")), (("good", "bad"), ("good", "bad"))]
)
def test_one_output_is_a_no_and_a_yes(
    tmp_path: Path, ending: list[tuple[str, dict[str, Any]]], labels: tuple[str, ...], names: tuple[str, ...]
) -> None:
    path = make_ending(tmp_path / "m.onnx", ending, np.array([[1.0, 1.0, 1.0]], np.float32))
    classifier = edgevit.load(path, labels=labels, **PLAIN)
    assert classifier.names == names
    for picture, logit in ((BLACK, -3.0), (WHITE, 3.0)):
        yes = sigmoid(logit)
        assert classifier(picture).probs.tolist() == pytest.approx((1 - yes, yes), rel=1e-5)
    with pytest.raises(OptionError, match="3 labels were given, but .* has one output, a yes or no"):
        edgevit.load(path, labels=COLORS, **PLAIN)


def test_softmax_over_one_class_is_refused(tmp_path: Path) -> None:
    path = make_ending(tmp_path / "m.onnx", [("Softmax", {})], np.ones((1, 3), np.float32))
    with pytest.raises(ModelFileError, match="ends in a softmax over one class, which is always 1"):
        edgevit.load(path, labels=("defect",), **PLAIN)


def test_tflite_logistic_and_quantized_softmax_are_told_by_their_operators(
    make_foreign_tflite: Callable[..., Path], red_image: NDArray[np.uint8]
) -> None:
    # a scale that is not the one prescribed for a softmax
    path = make_foreign_tflite(dtype="uint8", scales=((1 / 255, 0), (1 / 200, 0)), softmax=True)
    logits = [4 * level / 255 for level in (200, 50, 25)]
    expected = [math.exp(logit) / sum(map(math.exp, logits)) for logit in logits]
    assert edgevit.load(path, labels=COLORS)(red_image).probs.tolist() == pytest.approx(expected, abs=1 / 200)
    path = make_foreign_tflite(dtype="uint8", scales=((1 / 255, 0), (1 / 256, 0)), sigmoid=True)
    result = edgevit.load(path, labels=COLORS)(red_image)
    assert result.multi_label
    assert result.probs.tolist() == pytest.approx([sigmoid(logit) for logit in logits], abs=1 / 256)


def test_multi_label_answers_have_thresholds_and_events_of_their_own(tmp_path: Path) -> None:
    path = make_ending(tmp_path / "m.onnx", [("Sigmoid", {})])
    classifier = edgevit.load(path, labels=COLORS, **PLAIN)
    white, black = classifier(WHITE), classifier(BLACK)
    assert white.to_dict()["multi_label"] is True
    watch = Watch(LabelRules(thresholds={"blue": 0.7}))
    # white: red 0.88, green 0.27, blue 0.62; black: red 0.12, green 0.73, blue 0.38; the others' limit is even odds
    told = [
        [
            (event.kind, event.facts["label"], event.facts.get("active"))
            for event in watch.see(result, Moment("camera", number, float(number), float(number)))
        ]
        for number, result in enumerate((white, black))
    ]
    assert told == [
        [("label", "red", None), ("class", "red", True)],
        [("label", "green", None), ("class", "green", True), ("class", "red", False)],
    ]


def test_circle_of_operators_and_unknown_output_end(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["b"], ["a"]), helper.make_node("Identity", ["a"], ["b"])]
    graph = helper.make_graph(nodes, "circle", [], [])
    path = tmp_path / "circle.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert last_operator(path, "a") == ""
    assert last_operator(path, "none") == ""


@pytest.mark.skipif(not MODELS.is_dir(), reason="the cases lie beside a checkout")
@pytest.mark.parametrize(
    ("name", "labels", "level", "expected"),
    [
        ("t_sig1", ("defect",), 0, {"defect": 0.05}),
        ("t_sig1", ("defect",), 127.5, {"defect": 0.50}),
        ("t_sig1", ("defect",), 255, {"defect": 0.95}),
        ("sig1", ("good", "defect"), 127.5, {"defect": 0.047}),
        ("sig3", ("a", "b", "c"), 127.5, {"a": 0.90, "b": 0.10, "c": 0.80}),
        ("logit1", ("defect",), 127.5, {"defect": 0.047}),
    ],
)
def test_case_has_its_right_value(name: str, labels: tuple[str, ...], level: float, expected: dict[str, float]) -> None:
    """Grey is the mean of black and white pixels, in the model's own average."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[::2] = 255 if level else 0
    picture[1::2] = 255 if level == 255 else 0
    exact = {"crop_pct": 1.0, **PLAIN}
    result = edgevit.load(MODELS / f"{name}.onnx", labels=labels, **exact)(picture)
    for label, value in expected.items():
        assert result.probs[result.names.index(label)] == pytest.approx(value, abs=0.006)


@pytest.mark.skipif(not MODELS.is_dir(), reason="the cases lie beside a checkout")
def test_quantized_softmax_is_not_judged_picture_by_picture() -> None:
    import onnxruntime

    path = MODELS / "softmax_int8.onnx"
    classifier = edgevit.load(path, labels=tuple(map(str, range(100))), crop_pct=1.0, **PLAIN)
    plain = onnxruntime.InferenceSession(path)
    for level in (0, 60, 128, 200, 255):
        given = np.full((1, 3, 32, 32), level / 127.5 - 1, np.float32)
        found = classifier(np.full((32, 32, 3), level, np.uint8)).probs
        np.testing.assert_allclose(found, plain.run(None, {"x": given})[0][0], atol=0.02)
