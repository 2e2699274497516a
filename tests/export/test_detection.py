"""Detectors from PyTorch to a file: separate raw outputs, int8 that keeps scales apart, and what the file says."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import edgevit
from edgevit.artifact.manifest import BoxOutput, Manifest, read_manifest, read_metadata
from edgevit.errors import OptionError
from edgevit.export.data.choose import read_labelled
from edgevit.export.data.images import draw_images
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.export.result import ExportResult
from edgevit.export.tasks.boxes import MarkedBoxes
from edgevit.export.tasks.rules import rules_of
from edgevit.models.zoo.registry import get_spec

MODEL = "efficientvit_b0_det"
RANDOM = Recipe(MODEL, weights="random", num_classes=3, imgsz=(64, 96))
PLACES = 8 * 12 + 4 * 6 + 2 * 3
"""Cells of 8, 16 and 32 pixels in an input of 64 x 96."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in YOLO's layout: 24 grey pictures of 120 x 160, each with one square of 40 pixels at its centre."""
    folder = tmp_path_factory.mktemp("farm")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for i in range(24):
        picture = np.full((120, 160, 3), 114, np.uint8)
        picture[40:80, 60:100, i % 3] = 200
        cv2.imwrite(str(folder / "images" / f"{i:02}.png"), picture)
        (folder / "labels" / f"{i:02}.txt").write_text(f"{i % 3} 0.5 0.5 0.25 {40 / 120:.6f}\n")
    (folder / "data.yaml").write_text("names: [class 0, class 1, class 2]\n")
    return folder


@pytest.fixture(scope="module")
def int8(farm: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    folder = tmp_path_factory.mktemp("int8")
    recipe = dataclasses.replace(RANDOM, precision="int8", data=farm, max_drop=1.0)
    return export(recipe, folder / "m.onnx", page=folder / "m.html")


def read(result: ExportResult) -> Manifest:
    manifest = read_manifest(result.path)
    assert manifest is not None
    return manifest


def test_file_says_what_its_answers_mean(int8: ExportResult) -> None:
    manifest = read(int8)
    assert (manifest.task, manifest.pixels) == ("detect", None)
    assert manifest.boxes == BoxOutput("yolox", (8, 16, 32), boxes="boxes", objectness="objectness", scores="scores")
    assert (manifest.preprocess.crop_mode, manifest.preprocess.size) == ("letterbox", (64, 96))
    assert manifest.selftest is not None
    flat = read_metadata(int8.path)
    assert (flat["task"], json.loads(flat["imgsz"]), flat["stride"]) == ("detect", [64, 96], "32")


def test_raw_outputs_are_three_and_float(int8: ExportResult) -> None:
    graph = onnx.load(int8.path).graph
    shapes = {output.name: [axis.dim_value for axis in output.type.tensor_type.shape.dim] for output in graph.output}
    assert shapes == {"boxes": [1, PLACES, 4], "objectness": [1, PLACES, 1], "scores": [1, PLACES, 3]}
    assert {output.type.tensor_type.elem_type for output in graph.output} == {onnx.TensorProto.FLOAT}


def test_each_level_of_each_output_has_a_scale_of_its_own(int8: ExportResult) -> None:
    """Behind each Concat that joins levels stand three tensors that were 8-bit each with another scale."""
    graph = onnx.load(int8.path).graph
    made_by = {name: node for node in graph.node for name in node.output}
    scales = []
    for output in graph.output:
        join = made_by[output.name]
        assert join.op_type == "Concat"
        for name in join.input:
            node = made_by[name]
            while node.op_type in ("Reshape", "Transpose"):
                node = made_by[node.input[0]]
            assert node.op_type == "DequantizeLinear"
            scales.append(node.input[1])
    assert len(scales) == len(set(scales)) == 9


def test_at_least_nine_tenths_of_the_arithmetic_is_int8(int8: ExportResult) -> None:
    quantization = read(int8).quantization
    assert quantization is not None
    assert quantization.int8_mac_share >= 0.9
    assert quantization.calibration is not None
    assert quantization.calibration.source == "folder"


def test_budget_is_in_points_of_average_precision_where_boxes_are_marked(int8: ExportResult) -> None:
    assert int8.outcome is not None
    assert (int8.outcome.measure, int8.outcome.met) == ("average precision", True)


def test_every_step_tells_of_raw_numbers_and_of_boxes(int8: ExportResult) -> None:
    steps = {parity.step: parity for parity in read(int8).parity}
    assert list(steps) == ["folding", "least divisor", "tracing", "simplification", "int8"]
    assert max(steps[name].max_abs for name in ("folding", "tracing", "simplification")) < 1e-4
    # random weights score every place 0.01 * 0.01 or so: nothing is found, and that is said
    assert all(parity.boxes is not None and parity.boxes.found == 0 for parity in steps.values())


def test_report_tells_of_boxes(int8: ExportResult) -> None:
    page = int8.path.with_suffix(".html").read_text()
    figures = json.loads(int8.path.with_suffix(".json").read_text())
    assert "Changed boxes" in page
    assert figures["score"]["measure"] == "average precision"
    assert (figures["boxes"]["found"], figures["boxes"]["against"]) == (0, "the marked boxes")


def test_exported_detector_runs(int8: ExportResult) -> None:
    with edgevit.load(int8.path, task="detect") as detector:
        found = detector(np.full((120, 160, 3), 114, np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.names == ("class 0", "class 1", "class 2")


def test_marked_boxes_come_with_the_pictures(farm: Path) -> None:
    spec = get_spec(MODEL)
    form = rules_of(spec).form(spec, spec.preprocess)
    names = ("class 2", "class 1", "class 0")
    folder = read_labelled(farm, "boxes", names, False)
    assert folder.home is not None
    truth = draw_images(folder.home, names, 5, 0, form=form).truth
    assert isinstance(truth, MarkedBoxes)
    assert set(truth.sizes) == {(120, 160)}
    np.testing.assert_allclose(truth.boxes[0].boxes, [[60, 40, 100, 80]], atol=0.1)
    unlabelled = read_labelled(farm, "boxes", names, True)
    assert unlabelled.home is not None
    assert draw_images(unlabelled.home, names, 5, 0, form=form).truth is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"argmax": True}, "--argmax is for segmentation models; efficientvit_b0_det detects"),
        ({"nms": True, "format": "tflite"}, "--nms is for ONNX and one picture at a time"),
        ({"nms": True, "batch": 2}, "--nms is for ONNX and one picture at a time"),
    ],
)
def test_what_a_detector_cannot_do_is_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    recipe = dataclasses.replace(RANDOM, **options)  # type: ignore[arg-type]
    suffix = ".tflite" if recipe.format == "tflite" else ".onnx"
    with pytest.raises(OptionError) as caught:
        export(recipe, tmp_path / f"m{suffix}")
    assert message in caught.value.command_line_text


def test_suppression_inside_the_graph_is_for_detectors(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nms= is for detectors; efficientvit_b0 classifies"):
        export(Recipe("efficientvit_b0", weights="random", imgsz=64, nms=True), tmp_path / "m.onnx")
