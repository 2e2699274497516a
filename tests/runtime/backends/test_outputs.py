"""Sessions that take several outputs of a model: in the order asked for, each with its own numbers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import edgevit
from edgevit.artifact.manifest import BoxOutput, Input, Preprocess
from edgevit.errors import ClosedError, ModelFileError
from edgevit.runtime.backends.session import Output, open_session
from edgevit.runtime.selftest import check_selftest, record_selftest
from tests.made_detector import MANIFEST
from tests.made_foreign_detectors import SIZE, TfliteGraph, write_onnx

BLANK = np.zeros((1, 3, *SIZE), np.float32)
FIRST = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
SECOND = np.arange(4, dtype=np.float32).reshape(1, 4)


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "two.onnx", FIRST, SECOND, names=("first", "second"))


def quantized_file(path: Path) -> Path:
    """Write a TFLite model with float32 means of the colours (1, 3), and the same as int8 of 0.5, from -10."""
    graph = TfliteGraph()
    means = graph.means()
    stored = graph.tensor((1, 3), "int8", (0.5, -10))
    graph.operator(114, [means], [stored])
    return graph.write(path, [means, stored])


def test_outputs_come_in_the_order_asked_for(onnx_file: Path) -> None:
    session = open_session(onnx_file, outputs=["second", "first"])
    second, first = session.run_outputs(BLANK)
    np.testing.assert_array_equal(first, FIRST)
    np.testing.assert_array_equal(second, SECOND)
    np.testing.assert_array_equal(session.run(BLANK), SECOND)
    assert session.tensors.outputs == (Output("first", (1, 3, 2)), Output("second", (1, 4)))


def test_without_names_all_are_taken(onnx_file: Path) -> None:
    shapes = [output.shape for output in open_session(onnx_file, outputs=[]).run_outputs(BLANK)]
    assert shapes == [(1, 3, 2), (1, 4)]


def test_pictures_of_a_batch_are_asked_one_by_one_where_the_model_takes_one(onnx_file: Path) -> None:
    first, second = open_session(onnx_file, outputs=[]).run_outputs(np.repeat(BLANK, 3, axis=0))
    assert (first.shape, second.shape) == ((3, 3, 2), (3, 4))


def test_a_name_that_is_not_there_is_told_with_those_that_are(onnx_file: Path) -> None:
    with pytest.raises(ModelFileError, match="has no output 'third'; it has first, second"):
        open_session(onnx_file, outputs=["third"])


def test_a_closed_session_says_so(onnx_file: Path) -> None:
    session = open_session(onnx_file, outputs=[])
    session.close()
    with pytest.raises(ClosedError):
        session.run_outputs(BLANK)


def test_an_output_without_an_axis_for_the_batch_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "rows.onnx", FIRST[0])
    with pytest.raises(ModelFileError, match=r"answers with shape \(3, 2\) for 1 pictures"):
        open_session(path, outputs=[]).run_outputs(BLANK)


def test_integers_of_tflite_are_numbers_of_their_own_scale(tmp_path: Path) -> None:
    session = open_session(quantized_file(tmp_path / "two.tflite"), outputs=["1", "0"])
    picture = BLANK + np.array([1.1, -2.2, 3.3], np.float32)[:, None, None]
    stored, means = session.run_outputs(picture)
    np.testing.assert_allclose(means, [[1.1, -2.2, 3.3]], atol=1e-3)
    # the nearest halves
    np.testing.assert_allclose(stored, [[1, -2, 3.5]], atol=1e-6)
    assert [output.shape for output in session.tensors.outputs] == [(1, 3), (1, 3)]


def test_a_tflite_detector_answers_and_tests_itself(tmp_path: Path) -> None:
    """Every place tells the picture's mean colours."""
    from edgevit.export.tflite.artifact import artifact_bytes

    size = (64, 96)
    graph = TfliteGraph()
    places = 6
    scores = graph.tensor((1, 3 * places))
    weights = 12 * np.tile(np.eye(3, dtype=np.float32), (places, 1))
    graph.operator(9, [graph.means(), graph.constant(weights), -1], [scores], options=(8, {}))
    shaped = graph.reshaped(scores, (1, places, 3))
    stored = graph.tensor((1, places, 3), "int8", (0.1, 0))
    graph.operator(114, [shaped], [stored])
    raw = np.tile(np.array([0.5, 0.5, 0, 0], np.float32), (1, places, 1))
    flat = graph.tensor((1, raw.size))
    nothing = graph.constant(np.zeros((raw.size, 3), np.float32))
    graph.operator(9, [graph.means(), nothing, graph.constant(raw.reshape(-1))], [flat], options=(8, {}))
    path = graph.write(tmp_path / "plain.tflite", [stored, graph.reshaped(flat, (1, places, 4))])

    manifest = dataclasses.replace(
        MANIFEST,
        input=Input(name="t0", shape=(1, 3, *size), layout="NHWC"),
        preprocess=Preprocess(size, "bilinear", 1.0, "letterbox", mean=(0.5,) * 3, std=(0.5,) * 3),
        boxes=BoxOutput("yolox", (32,), boxes="1", scores="0"),
        precision="int8",
    )
    model = path.read_bytes()
    sealed = tmp_path / "squares.tflite"
    sealed.write_bytes(artifact_bytes(model, manifest))
    sealed.write_bytes(artifact_bytes(model, dataclasses.replace(manifest, selftest=record_selftest(sealed, manifest))))
    report = check_selftest(sealed)
    assert report.boxes is not None
    assert report.boxes.missing == 0
    assert report.score_tolerance == 0.15
    with edgevit.load(sealed, task="detect") as detector:
        found = detector(np.full((128, 192, 3), (255, 64, 0), np.uint8))
    # red is 12 * (1 - .5) / .5 = 12, the other colours are below 0
    assert found.counts == {"red": 6}
    assert sorted(found.boxes.tolist())[:2] == [[0, 0, 64, 64], [0, 64, 64, 128]]
