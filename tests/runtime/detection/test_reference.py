"""The self-test of a detector: its reference boxes are found again, or it fails."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.artifact.cases import ReferenceBox, SelfTest, SelfTests
from edgevit.artifact.manifest import read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime.detection.decode import RawBoxes
from edgevit.runtime.detection.reference import compare_boxes, record_boxes
from edgevit.runtime.selftest import check_selftest, record_selftest
from tests.conftest import MakeModel, Run
from tests.made_detector import BOXES, MANIFEST, squares_graph

Floats = NDArray[np.float32]
DECODER = RawBoxes(dataclasses.replace(BOXES, strides=(16,)), (32, 64))
"""Knows the answers for eight cells of 16 x 16 pixels, four in a row."""


def answers(places: int = 8, classes: int = 2) -> list[Floats]:
    random = np.random.default_rng(5)
    boxes = random.normal(0.5, 0.2, (places, 4)).astype(np.float32)
    objectness = random.normal(0, 1, (places, 1)).astype(np.float32)
    return [boxes, objectness, random.normal(0, 2, (places, classes)).astype(np.float32)]


def tolerances(score_tolerance: float, missing_boxes: float = 0.0) -> SelfTests:
    return SelfTests((), 0.01, 0.05, score_tolerance=score_tolerance, missing_boxes=missing_boxes)


def changed(graph: onnx.ModelProto, name: str, change: Callable[[Floats], Any]) -> onnx.ModelProto:
    """Return the graph with another value of a constant."""
    values = next(each for each in graph.graph.initializer if each.name == name)
    other = np.asarray(change(onnx.numpy_helper.to_array(values).copy()), np.float32)
    values.CopyFrom(onnx.numpy_helper.from_array(other, name))
    return graph


def test_sound_file_passes_and_tells_how_many_boxes(tiny_detector: Path, run: Run) -> None:
    report = check_selftest(tiny_detector)
    assert report.cases == 3
    assert report.boxes is not None
    # of each picture the ten surest are recorded
    assert (report.boxes.recorded, report.boxes.missing) == (30, 0)
    assert report.boxes.score_difference < 1e-6
    manifest = read_manifest(tiny_detector)
    assert manifest is not None
    assert manifest.selftest is not None
    assert report.score_tolerance == manifest.selftest.score_tolerance == 0.001
    code, out, _ = run("selftest", tiny_detector)
    assert code == 0
    assert "30 of 30 boxes found again, scores within" in out
    with edgevit.load(tiny_detector) as detector:
        assert detector.selftest() == report


@pytest.mark.parametrize(
    ("constant", "change"),
    [
        ("box_values", lambda values: values + 0.1),  # a tenth of a stride to the right, and 10 % larger
        ("mixing", lambda values: values[[1, 0, 2]]),  # red and green are exchanged
        ("bias", lambda values: values - 1),
    ],
)
def test_other_boxes_fail(make_detector: MakeModel, constant: str, change: Callable[[Floats], Any]) -> None:
    for precision in ("fp32", "int8"):
        manifest = dataclasses.replace(MANIFEST, precision=precision)
        tests = record_selftest(make_detector(precision=precision), manifest)
        path = make_detector(graph=changed(squares_graph(), constant, change), precision=precision, selftest=tests)
        with pytest.raises(GateError, match=r"case \d of 3: \d+ of 10 boxes are not found again, such as class \d at"):
            check_selftest(path)


def test_raw_answers_of_a_float_model_are_compared_too(make_detector: MakeModel) -> None:
    tests = record_selftest(make_detector(), MANIFEST)
    # the finer levels, of which no box is among the surest, tell another class
    graph = changed(squares_graph(), "absent", lambda values: values - 2)
    with pytest.raises(GateError, match="logit .* this runtime does not compute what the export measured"):
        check_selftest(make_detector(graph=graph, selftest=tests))


def test_an_int8_model_stores_boxes_alone(make_detector: MakeModel) -> None:
    tests = record_selftest(make_detector(precision="int8"), dataclasses.replace(MANIFEST, precision="int8"))
    assert [case.logits for case in tests.cases] == [(), (), ()]
    assert (tests.score_tolerance, tests.missing_boxes) == (0.05, 0.2)


def test_boxes_that_moved_a_little_are_found_again() -> None:
    recorded = record_boxes(DECODER, answers())
    assert [box.score for box in recorded] == sorted((box.score for box in recorded), reverse=True)
    moved = answers()
    moved[0] += np.float32(0.01)  # of a side of 26 pixels: .16 pixels and 1 %
    moved[2] += np.float32(0.02)  # at most .005 of a score
    report = compare_boxes(DECODER, moved, recorded, tolerances(0.05), "case 1 of 1")
    assert report.missing == 0
    assert 0 < report.score_difference <= 0.005
    with pytest.raises(GateError, match="boxes are not found again"):
        compare_boxes(DECODER, moved, recorded, tolerances(1e-4), "case 1 of 1")


def test_which_of_two_overlapping_boxes_is_surer_does_not_matter() -> None:
    raw = answers()
    raw[0][:2] = [[1, 0.5, 0.7, 0.7], [0, 0.5, 0.7, 0.7]]  # the same box, told by two cells
    raw[1][:2] = 3
    raw[2][:2] = np.array([[3, 0], [2.999, 0]])
    recorded = record_boxes(DECODER, raw)
    raw[2][:2, 0] = [2.999, 3]
    assert compare_boxes(DECODER, raw, recorded, tolerances(0.01), "case 1 of 1").missing == 0


def test_a_share_of_the_boxes_may_be_missing() -> None:
    recorded = record_boxes(DECODER, answers())
    other = [*recorded[1:], ReferenceBox((0, 0, 1, 1), 0.5, 0)]
    report = compare_boxes(DECODER, answers(), other, tolerances(0.05, 0.2), "case 1 of 1")
    assert (report.recorded, report.missing) == (len(recorded), 1)
    with pytest.raises(GateError, match=r"such as class 0 at 0.0, 0.0, 1.0, 1.0 with score 0.5000 within 0.0500"):
        compare_boxes(DECODER, answers(), other, tolerances(0.05, 0.01), "case 1 of 1")


def test_small_scores_are_compared_too() -> None:
    raw = answers()
    raw[2] -= np.float32(6)
    recorded = record_boxes(DECODER, raw)
    assert max(box.score for box in recorded) < 0.05
    raw[2] -= np.float32(2)
    with pytest.raises(GateError, match="boxes are not found again"):
        compare_boxes(DECODER, raw, recorded, tolerances(0.05), "case 1 of 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score_tolerance": 0.5}, "score_tolerance is 0.5, expected at most 0.25"),
        ({"missing_boxes": 1.0}, "missing_boxes is 1.0, expected at most 0.25"),
        ({"missing_boxes": -0.1}, "missing_boxes is -0.1"),
    ],
)
def test_a_file_does_not_vouch_for_itself(change: dict[str, Any], message: str) -> None:
    case = case_with(record_boxes(DECODER, answers()))
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MANIFEST, selftest=dataclasses.replace(SelfTests((case,), 0.01, 0.05), **change))


def case_with(boxes: tuple[ReferenceBox, ...]) -> SelfTest:
    return SelfTest(png="", input_indices=(0,), input_values=(0.0,), logits=(), boxes=boxes)


@pytest.mark.parametrize(
    ("box", "score", "index", "message"),
    [
        ((5, 0, 5, 9), 0.5, 0, "expected left < right"),
        ((float("nan"), 0, 5, 9), 0.5, 0, "expected left < right"),
        ((0, 0, 5, 9), 1.5, 0, "score is 1.5"),
        ((0, 0, 5, 9), 0.5, -1, "index is -1"),
    ],
)
def test_what_is_no_box_is_refused(
    box: tuple[float, float, float, float], score: float, index: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ReferenceBox(box, score, index)


def test_boxes_alone_prove_nothing_of_a_classifier(make_model: MakeModel, tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    assert manifest.selftest is not None
    case = dataclasses.replace(manifest.selftest.cases[0], logits=(), boxes=(ReferenceBox((0, 0, 1, 1), 0.5, 0),))
    path = make_model(selftest=dataclasses.replace(manifest.selftest, cases=(case,)))
    with pytest.raises(ModelFileError, match="case 1 of the self-test holds boxes alone"):
        check_selftest(path)


def test_a_case_without_answer_and_boxes_is_refused() -> None:
    with pytest.raises(ValueError, match="logits is '0 values', expected 1 to"):
        case_with(())
    with pytest.raises(ValueError, match="boxes is '101 boxes', expected at most 100"):
        case_with((ReferenceBox((0, 0, 1, 1), 0.5, 0),) * 101)


def test_the_document_keeps_the_boxes(tiny_detector: Path) -> None:
    manifest = read_manifest(tiny_detector)
    assert manifest is not None
    assert manifest.selftest is not None
    first = manifest.selftest.cases[0].boxes[0]
    # the coarse cells are 32 pixels, and only they are ever sure
    assert (np.array(first.box) % 32 == 0).all()
    with pytest.raises(ModelFileError, match=r"boxes\[0\]"):
        type(manifest).from_json(manifest.to_json().replace('"score":', '"sure":'))
