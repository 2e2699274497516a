"""The search for a precision within a budget, on a network where one block is known to need float."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import Preprocess, Quantization
from edgevit.export.data.images import ImageSet
from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.quantize import OnnxQuantizer, calibrated_tensors
from edgevit.export.quantization import search as module
from edgevit.export.quantization.int8 import Int8
from edgevit.export.quantization.search import Evaluator, Outcome, layers_of, search
from edgevit.export.tasks.ground_truth import FloatAnswers, Labels
from edgevit.export.verify import run_file, run_graph

SIZE = 16
HOW = Preprocess(size=(SIZE, SIZE), crop_pct=1.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path))


@pytest.fixture
def network() -> ModelProto:
    """Two convolutions and a classifier; the second's output has one channel a thousand times the others.

    With one scale for all its channels, int8 leaves nothing of the small ones, and only these decide the class.
    """
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((8, 8, 1, 1)).astype(np.float32)
    wide[0] *= 1000
    head = rng.standard_normal((4, 8)).astype(np.float32)
    head[:, 0] = 0
    tensors: dict[str, np.ndarray] = {
        "stages.0.first.weight": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "stages.1.wide.weight": wide,
        "head.weight": head,
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "stages.0.first.weight"], ["a"], name="first"),
        helper.make_node("Conv", ["a", "stages.1.wide.weight"], ["b"], name="wide"),
        helper.make_node("ReduceMean", ["b", "axes"], ["m"], name="mean", keepdims=0),
        helper.make_node("Gemm", ["m", "head.weight"], ["logits"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIZE, SIZE))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 4))],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


@pytest.fixture
def evaluator(network: ModelProto) -> Evaluator:
    pictures = np.random.default_rng(1).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
    images = ImageSet("generated", tuple(pictures))
    return Evaluator(images, HOW, (reference := run_graph(network, images, HOW)), FloatAnswers(reference))


def quantizer_of(network: ModelProto, evaluator: Evaluator) -> OnnxQuantizer:
    ranges = calibrate(network, calibrated_tensors(network), lambda: evaluator.images.inputs(HOW))
    return OnnxQuantizer(network, ranges)


def test_block_that_int8_destroys_goes_back_to_float(network: ModelProto, evaluator: Evaluator) -> None:
    outcome = search(quantizer_of(network, evaluator), (), evaluator, max_drop=5.0)
    assert outcome.met
    assert outcome.trials[0].drop > 5.0
    assert "stages.1.wide" in outcome.chosen.float_blocks
    assert outcome.sensitivity["stages.1.wide"] == min(outcome.sensitivity.values())
    assert 0 < outcome.chosen.int8_share < outcome.trials[0].int8_share


def test_nothing_goes_back_where_the_budget_is_met_at_once(network: ModelProto, evaluator: Evaluator) -> None:
    outcome = search(quantizer_of(network, evaluator), (), evaluator, max_drop=100.0)
    assert outcome.chosen.float_blocks == ()
    assert len(outcome.trials) == 1


def test_all_float_loses_nothing(network: ModelProto, evaluator: Evaluator) -> None:
    outcome = search(quantizer_of(network, evaluator), (), evaluator, max_drop=0.0)
    assert outcome.met
    assert outcome.chosen.drop <= 0.0


def test_budget_counts_as_judged_only_where_labels_have_shown_that_it_is_kept(
    network: ModelProto, evaluator: Evaluator
) -> None:
    labels = Labels(evaluator.reference.argmax(1))
    labelled = replace(evaluator, images=replace(evaluator.images, truth=labels), truth=labels)
    quantizer = quantizer_of(network, evaluator)

    def judged(outcome: Outcome | None) -> bool:
        quantization = Quantization("test", 1.0, (), None)
        return Int8(b"", quantization, outcome, quantizer, {}).judged

    kept = search(quantizer, (), labelled, max_drop=5.0)
    assert (kept.met, judged(kept)) == (True, True)
    assert not judged(replace(kept, met=False))
    by_float = search(quantizer, (), evaluator, max_drop=5.0)
    assert (by_float.met, judged(by_float)) == (True, False)
    assert not judged(None)


def test_labels_make_the_drop_one_of_accuracy(evaluator: Evaluator) -> None:
    right = evaluator.reference.argmax(1)
    half_right = np.where(np.arange(len(right)) % 2 == 0, right, (right + 1) % 4)
    labelled = Evaluator(evaluator.images, HOW, evaluator.reference, Labels(half_right))
    assert labelled.drop(evaluator.reference) == 0.0
    assert labelled.drop(np.zeros_like(evaluator.reference)) == pytest.approx(50 - 100 * np.mean(half_right == 0))
    assert evaluator.drop(np.zeros_like(evaluator.reference)) == pytest.approx(100 * np.mean(right != 0))


def test_search_repeats_itself_without_measuring_again(
    network: ModelProto, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantizer = quantizer_of(network, evaluator)
    first = search(quantizer, (), evaluator, max_drop=5.0)

    def fail(*args: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(module, "run_file", fail)
    assert search(quantizer, (), evaluator, max_drop=5.0) == first


def test_broken_search_goes_on_where_it_was(
    network: ModelProto, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantizer, runs = quantizer_of(network, evaluator), []

    def break_at_third(*args: object) -> np.ndarray:
        runs.append(args)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return run_file(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run_file", break_at_third)
    with pytest.raises(KeyboardInterrupt):
        search(quantizer, (), evaluator, max_drop=5.0)
    outcome = search(quantizer, (), evaluator, max_drop=5.0)
    measurements = len(outcome.sensitivity) + len(outcome.trials)
    assert len(runs) == measurements + 1, "only the broken measurement is made twice"


def test_blocks_are_those_of_the_torch_model(network: ModelProto) -> None:
    assert layers_of(layers(network), ["stages.1.wide"]) == {"wide"}
    assert layers_of(layers(network), ["stages.0.first", "head"]) == {"first", "head"}
