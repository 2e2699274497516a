"""Facts of a report, gathered from the tiny model and a variant of it whose answers are known."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Calibration, Manifest, Quantization, read_manifest
from edgevit.export.data.images import ImageSet
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.layer_noise import layer_sqnr
from edgevit.export.onnx.quantize import OPERATORS, quantize
from edgevit.export.quantization.search import Outcome, Trial
from edgevit.export.report.measure import measure
from edgevit.export.report.page import render
from edgevit.export.result import Comparison, ExportResult
from edgevit.export.tasks.ground_truth import Labels

MakeGraph = Callable[..., onnx.ModelProto]
ORANGE, PLAIN, SKY = (255, 204, 51), (204, 51, 51), (51, 51, 204)
"""Red, red and blue; with green's weight doubled the first one is green."""
RANGES = {"channels": (-2.0, 2.0), "scores": (-8.0, 8.0)}


@pytest.fixture
def float_graph(make_graph: MakeGraph) -> onnx.ModelProto:
    return named(make_graph())


@pytest.fixture
def greener(make_graph: MakeGraph) -> onnx.ModelProto:
    return named(make_graph(weights=np.diag([4.0, 8.0, 4.0]).astype(np.float32)))


@pytest.fixture
def manifest(tiny_model: Path) -> Manifest:
    found = read_manifest(tiny_model)
    assert found is not None
    return found


def named(graph: onnx.ModelProto) -> onnx.ModelProto:
    for node in graph.graph.node:
        node.name = node.op_type.lower()
    return graph


def images(*colors: tuple[int, int, int]) -> ImageSet:
    pictures: tuple[NDArray[np.uint8], ...] = tuple(np.full((40, 50, 3), color, np.uint8) for color in colors)
    return ImageSet("generated", pictures)


def int8_manifest(manifest: Manifest, *float_layers: str) -> Manifest:
    preprocessing = Quantization("U8S8", 1.0, float_layers, Calibration("folder", 16, "minmax", 0))
    return replace(manifest, precision="int8", quantization=preprocessing)


def beside(float_graph: onnx.ModelProto, graph: onnx.ModelProto, **changes: Any) -> Comparison:
    return Comparison(
        suffix=".onnx",
        float_model=float_graph.SerializeToString(),
        model=graph.SerializeToString(),
        layers=tuple(layers(float_graph)),
        operators=OPERATORS,
        noise=partial(layer_sqnr, float_graph, graph),
        **changes,
    )


def result(manifest: Manifest, **changes: Any) -> ExportResult:
    return ExportResult(Path("out/tiny.onnx"), manifest, 1.0, 4.0, **changes)


def test_changed_answers_are_found_and_shown(
    float_graph: onnx.ModelProto, greener: onnx.ModelProto, manifest: Manifest
) -> None:
    models, truth = beside(float_graph, greener), Labels(np.array([1, 0, 0]))
    facts = measure(result(manifest), models, images(ORANGE, PLAIN, SKY), truth)
    assert (facts.to_dict()["file"], facts.flips, facts.score.images) == ("tiny.onnx", 1, 3)
    assert facts.score.measure == "top-1 accuracy"
    assert (facts.score.float32, facts.score.exported) == (1 / 3, 2 / 3)
    (flipped,) = facts.flipped
    assert (flipped.flip.source, flipped.flip.label) == ("generated image 0", "green")
    assert (flipped.flip.before, flipped.flip.after) == ("red", "green")
    shown = cv2.imdecode(np.frombuffer(flipped.thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert np.abs(shown[5, 5, ::-1].astype(int) - ORANGE).max() <= 4


def test_unlabelled_images_give_agreement(
    float_graph: onnx.ModelProto, greener: onnx.ModelProto, manifest: Manifest
) -> None:
    """Logits differ by 4.8 in green: noise 23.04 each, signal 110.08 and 69.12."""
    timed = result(manifest, latencies_ms=(3.0, 1.5))
    facts = measure(timed, beside(float_graph, greener), images(ORANGE, PLAIN))
    assert facts.score.measure == "top-1 agreement with float32"
    assert (facts.score.float32, facts.score.exported) == (1.0, 0.5)
    assert facts.score.logit_sqnr_db == pytest.approx(10 * np.log10((110.08 + 69.12) / (2 * 23.04)), abs=1e-4)
    assert facts.to_dict()["speedup"] == 2.0
    assert facts.flipped[0].flip.label is None


def test_layers_say_what_they_are(float_graph: onnx.ModelProto, manifest: Manifest) -> None:
    whole = quantize(float_graph, [], RANGES)
    models = beside(float_graph, whole, only_int8=lambda name: whole.SerializeToString())
    facts = measure(result(int8_manifest(manifest)), models, images(ORANGE, PLAIN))
    (layer,) = facts.layers
    assert (layer.name, layer.operator, layer.macs, layer.int8, layer.reason) == ("gemm", "Gemm", 9, True, "")
    # the only layer's output are the logits, so its noise is all there is
    assert layer.sqnr_db is not None
    assert layer.sqnr_db == pytest.approx(facts.score.logit_sqnr_db, abs=0.1)
    assert layer.sensitivity_db == pytest.approx(facts.score.logit_sqnr_db, abs=0.1)
    assert [(point.label, point.int8_mac_share, point.chosen) for point in facts.points] == [
        ("float32", 0.0, False),
        ("this file", 1.0, True),
    ]
    assert "gemm" in render(facts)


def test_search_gives_points_reasons_and_sensitivities(float_graph: onnx.ModelProto, manifest: Manifest) -> None:
    trials = (Trial((), 1.0, 50.0), Trial(("gemm",), 0.0, 0.0))
    outcome = Outcome(trials[1], True, trials, {"gemm": 17.5}, "top-1 agreement with float32", 2)
    searched = result(int8_manifest(manifest, "gemm"), outcome=outcome)
    facts = measure(searched, beside(float_graph, float_graph), images(ORANGE, PLAIN))
    assert [(point.label, point.int8_mac_share, point.score, point.chosen) for point in facts.points] == [
        ("float32", 0.0, 1.0, False),
        ("every block int8", 1.0, 0.5, False),
        ("1 block float", 0.0, 1.0, True),
    ]
    (layer,) = facts.layers
    assert (layer.int8, layer.reason) == (False, "given back to meet the accuracy budget")
    assert (layer.sqnr_db, layer.sensitivity_db) == (None, 17.5)


def test_float_export_says_that_it_was_asked_for(float_graph: onnx.ModelProto, manifest: Manifest) -> None:
    facts = measure(result(manifest), beside(float_graph, float_graph), images(ORANGE))
    assert [(layer.int8, layer.reason) for layer in facts.layers] == [(False, "fp32 was asked for")]
    assert (facts.flips, len(facts.points), facts.score.logit_sqnr_db) == (0, 1, None)


def test_layer_that_the_preset_keeps_says_so(float_graph: onnx.ModelProto, manifest: Manifest) -> None:
    kept = int8_manifest(manifest, "gemm")
    facts = measure(result(kept), beside(float_graph, float_graph), images(ORANGE))
    assert [(layer.int8, layer.reason) for layer in facts.layers] == [(False, "kept float by the preset of the family")]
