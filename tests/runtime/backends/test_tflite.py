"""TFLite files answer as ONNX files do: any batch, layout and type of tensor, edgevit's own and other people's."""

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTests
from edgevit.artifact.manifest import Preprocess, read_manifest
from edgevit.errors import ModelFileError, OptionError
from edgevit.export.tflite.metadata import Fields, build
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.backends.tflite import open_backend
from edgevit.runtime.backends.threads import started_on
from edgevit.runtime.loading import load
from edgevit.runtime.selftest import check_selftest, record_cases
from tests.places import ROOT

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
RUNTIME = "ai_edge_litert.interpreter.Interpreter"
PICTURE = (200, 50, 25)
"""Levels of conftest's red_image."""


def _inputs(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 3, 24, 32)).astype(np.float32)


def _softmax(*logits: float) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize(("layout", "batch", "images"), list(itertools.product(["NHWC", "NCHW"], [1, 4], [1, 3, 9])))
def test_any_number_of_images_is_answered(make_foreign_tflite: MakeModel, layout: str, batch: int, images: int) -> None:
    session = open_session(make_foreign_tflite(shape=(batch, 3, 24, 32), layout=layout), threads=1)
    assert session.input_shape == (batch, 3, 24, 32)
    assert (session.tensors.dtype, session.tensors.layout) == ("float32", layout)
    inputs = _inputs(images)
    np.testing.assert_allclose(session.run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_constants_behind_the_flatbuffer_are_found_again(
    make_foreign_tflite: MakeModel, make_tflite: MakeModel
) -> None:
    inputs = _inputs(1)
    for path in (make_foreign_tflite(outside=True), make_tflite(graph={"outside": True})):
        np.testing.assert_allclose(open_session(path).run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_model_of_open_size_takes_any(make_foreign_tflite: MakeModel) -> None:
    session = open_session(make_foreign_tflite(signature=(-1, -1, -1, 3)))
    assert session.input_shape == (0, 3, 0, 0)
    for inputs in (_inputs(2), _inputs(2)[:, :, :16, :20]):
        np.testing.assert_allclose(session.run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_picture_goes_straight_into_the_interpreters_memory(
    make_foreign_tflite: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, inputs = open_session(make_foreign_tflite(), threads=1), _inputs(2)

    def refuse(*arguments: object) -> None:
        raise AssertionError("the picture was copied once more")

    monkeypatch.setattr(f"{RUNTIME}.set_tensor", refuse)
    np.testing.assert_allclose(session.run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_picture_of_another_size_is_refused_and_blocks_no_later_one(make_foreign_tflite: MakeModel) -> None:
    session, inputs = open_session(make_foreign_tflite(), threads=1), _inputs(1)
    with pytest.raises(ModelFileError, match=r"failed on input \(1, 3, 24, 30\): it takes \(1, 24, 32, 3\)"):
        session.run(inputs[..., :30])
    np.testing.assert_allclose(session.run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_session_answers_eight_threads_at_once(make_foreign_tflite: MakeModel) -> None:
    session = open_session(make_foreign_tflite(), threads=1)
    inputs = _inputs(64)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: session.run(one[None])[0], inputs))
    np.testing.assert_allclose(answers, 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_threads_stay_where_they_were_started(make_foreign_tflite: MakeModel) -> None:
    """XNNPACK's threads begin with the interpreter, so that what a session is opened within holds for them."""
    path, last = make_foreign_tflite(), max(os.sched_getaffinity(0))
    before = set(os.listdir("/proc/self/task"))
    with started_on([last]):
        session = open_backend(path, 4)
    session.run(_inputs(1))
    started = set(os.listdir("/proc/self/task")) - before
    assert {frozenset(os.sched_getaffinity(int(task))) for task in started} == {frozenset({last})}


def test_inputs_are_not_changed_and_need_not_be_contiguous(make_foreign_tflite: MakeModel) -> None:
    session = open_session(make_foreign_tflite())
    inputs = _inputs(2)[:, :, :, ::-1]
    before = inputs.copy()
    np.testing.assert_allclose(session.run(inputs), 4 * before.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_array_equal(inputs, before)


def test_closed_session_says_so(make_foreign_tflite: MakeModel) -> None:
    session = open_session(make_foreign_tflite())
    session.close()
    with pytest.raises(ValueError, match="was closed; load it again"):
        session.run(_inputs(1))


def test_integer_tensors_are_scaled_and_clipped(make_foreign_tflite: MakeModel) -> None:
    """Input steps of 1/32 from -2 (level -64 is 0), output steps of 1/8: 4 * 0.5 is level 16, and 127 the last."""
    session = open_session(make_foreign_tflite(dtype="int8", scales=((1 / 32, -64), (1 / 8, 0))))
    assert session.tensors.limits == (-2.0, 191 / 32)
    colors = np.zeros((2, 3, 24, 32), np.float32)
    colors[0] += np.array([0.5, -0.25, 2.0], np.float32)[:, None, None]
    colors[1] += np.array([100.0, -100.0, 1 / 32], np.float32)[:, None, None]
    np.testing.assert_array_equal(session.run(colors), [[2.0, -1.0, 8.0], [127 / 8, -8.0, 0.125]])


@pytest.mark.parametrize(("dtype", "zeros"), [("uint8", (0, 0)), ("int8", (-128, -128))])
def test_own_integer_file_answers_as_its_float_one(
    make_tflite: MakeModel, red_image: NDArray[np.uint8], dtype: str, zeros: tuple[int, int]
) -> None:
    """Mean 0.5 and deviation 0.25 span -2..2 in 255 levels; logits of up to 8 in steps of 1/16."""
    middle = 128 if dtype == "uint8" else 0
    graph = {"dtype": dtype, "scales": ((4 / 255, round(127.5 + zeros[0])), (1 / 16, middle))}
    result = load(make_tflite(graph=graph))(red_image)
    expected = _softmax(*(4 * (level / 255 - 0.5) / 0.25 for level in PICTURE))
    assert result.top1 == "red"
    assert result.probs.tolist() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 0), ("int8", -128)])
def test_foreign_integer_classifier_needs_labels_only(
    make_foreign_tflite: MakeModel, red_image: NDArray[np.uint8], dtype: str, zero: int
) -> None:
    """Its levels are the picture's: scores are 4 * level / 255, and its softmax is not done twice."""
    path = make_foreign_tflite(dtype=dtype, scales=((1 / 255, zero), (1 / 256, zero)), softmax=True)
    with pytest.raises(OptionError, match="its 3 class names are unknown: give labels"):
        load(path)
    result = load(path, labels=("red", "green", "blue"))(red_image)
    assert result.probs.tolist() == pytest.approx(_softmax(*(4 * level / 255 for level in PICTURE)), abs=1 / 256)


def test_foreign_float_classifier_says_what_is_missing(make_foreign_tflite: MakeModel) -> None:
    with pytest.raises(OptionError, match="normalisation is unknown: give mean and std"):
        load(make_foreign_tflite(), labels=("red", "green", "blue"))


def _described(mean: float, std: float) -> dict[str, Any]:
    normalization: Fields = {0: np.uint8(1), 1: {0: np.array([mean], np.float32), 1: np.array([std], np.float32)}}
    graph: Fields = {2: [{4: [normalization]}], 3: [{6: [{0: "labels.txt", 2: np.int8(2)}]}]}
    return {"named": {"TFLITE_METADATA": build({3: [graph]}, b"M001")}, "files": {"labels.txt": "red\ngreen\nblue\n"}}


def test_foreign_classifier_with_metadata_needs_nothing(
    make_foreign_tflite: MakeModel, red_image: NDArray[np.uint8]
) -> None:
    classifier = load(make_foreign_tflite(**_described(127.5, 63.75), softmax=True))
    assert classifier.names == ("red", "green", "blue")
    expected = _softmax(*(4 * (level / 255 - 0.5) / 0.25 for level in PICTURE))
    assert classifier(red_image).probs.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("mean", "std"), [(math.nan, 127.5), (127.5, math.inf), (127.5, 0.0)])
def test_metadata_without_sense_is_as_good_as_none(make_foreign_tflite: MakeModel, mean: float, std: float) -> None:
    with pytest.raises(OptionError, match="normalisation is unknown: give mean and std"):
        load(make_foreign_tflite(**_described(mean, std)))


@pytest.mark.parametrize(("mean", "std"), [(127.5, 127.5), (0, 1)])
def test_metadata_of_a_float_model_in_an_integer_one_is_not_believed(
    make_foreign_tflite: MakeModel, mean: float, std: float
) -> None:
    """The input spans -1..1: a mean of 0 and deviation of 1 of 255 levels would saturate it."""
    path = make_foreign_tflite(**_described(mean, std), dtype="uint8", scales=((2 / 255, 128), (1 / 256, 0)))
    preprocessing = load(path).preprocess
    assert [
        (0 - preprocessing.mean[0]) / preprocessing.std[0],
        (1 - preprocessing.mean[0]) / preprocessing.std[0],
    ] == pytest.approx([-1, 1], abs=0.01)


def test_background_class_is_added_to_a_thousand_labels(
    make_foreign_tflite: MakeModel, make_foreign: MakeModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = [f"class {index}" for index in range(1000)]
    path = make_foreign_tflite(dtype="uint8", weights=np.zeros((1001, 3), np.float32))
    assert load(path, labels=labels).names == ("background", *labels)
    assert "1001 classes for 1000 labels: the first is taken for the background" in caplog.text
    other = make_foreign(weights=np.zeros((1000, 3), np.float32))
    names = load(other, labels=["background", *labels], mean=(0, 0, 0), std=(1, 1, 1)).names
    assert names == tuple(labels)
    with pytest.raises(OptionError, match="999 labels were given, but .* has 1001 classes"):
        load(path, labels=labels[1:])


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_selftest_passes_and_notices_other_weights(make_tflite: MakeModel, dtype: str) -> None:
    graph = {"dtype": dtype, "scales": ((4 / 255, 0), (1 / 16, 0))}
    path = make_tflite(graph=graph)
    session, manifest = open_session(path), read_manifest(path)
    assert manifest is not None
    tests = record_cases(session, manifest.preprocess, "fp32" if dtype == "float32" else "int8")
    assert tests.logit_tolerance == (0.001 if dtype == "float32" else 0.15)
    assert check_selftest(make_tflite(graph=graph, selftest=tests)).cases == 3
    wrong = SelfTests(
        tuple(
            case.__class__(**vars(case) | {"logits": tuple(2 * logit for logit in case.logits)}) for case in tests.cases
        ),
        tests.input_tolerance,
        tests.logit_tolerance,
    )
    with pytest.raises(Exception, match="self-test failed, case 1 of 3: logit"):
        check_selftest(make_tflite(graph=graph, selftest=wrong))


def test_commands_take_a_tflite_file(
    make_tflite: MakeModel, make_model: MakeModel, run: Run, save_image: SaveImage, red_image: NDArray[np.uint8]
) -> None:
    path, picture = make_tflite(), save_image("photos/red/one.png", red_image)
    code, out, _ = run("run", path, picture, "--json")
    assert (code, json.loads(out)["top1"]) == (0, "red")
    code, out, _ = run("info", path)
    assert code == 0
    assert "1x24x32x3 float32 NHWC RGB" in out
    code, out, _ = run("validate", make_model(), path, "--data", picture.parent, "--unlabelled", "--json")
    assert code == 0
    assert json.loads(out)["models"][1]["agreement"]["top1"] == 1.0
    code, out, _ = run("benchmark", path, "--image", picture, "--rounds", 1, "--starts", 0, "--json")
    assert code == 0
    assert path.name in out


def test_document_of_another_layout_is_refused(make_tflite: MakeModel) -> None:
    path = make_tflite(graph={"layout": "NCHW"}, input=read_manifest(make_tflite()).input)  # type: ignore[union-attr]
    with pytest.raises(ModelFileError, match="takes float32 NCHW input, but its document says float32 NHWC; export it"):
        load(path)
    with pytest.raises(ModelFileError, match=r"images of \(32, 32\); export it again"):
        load(make_tflite(preprocess=Preprocess((32, 32))))


@pytest.mark.parametrize(
    ("kind", "given", "answer", "reason"),
    [
        (1, (1, 8, 8, 3), (1, 8, 8, 3), r"takes float16; expected one input \(batch, height, width, 3\)"),
        (0, (1, 192), (1, 192), r"takes an input of shape \(1, 192\)"),
        (0, (1, 8, 8, 4), (1, 8, 8, 4), r"takes an input of shape \(1, 8, 8, 4\)"),
        (0, (1, 8, 8, 3), (1, 8, 8, 3), r"answers with shape \(1, 8, 8, 3\); expected one output"),
        (3, (1, 8, 8, 3), (1, 8, 8, 3), r"has an uint8 tensor without a scale"),
    ],
)
def test_model_of_another_kind_is_refused(
    tmp_path: Path, kind: int, given: tuple[int, ...], answer: tuple[int, ...], reason: str
) -> None:
    """One ABS, or for other types RESHAPE, operator."""
    tensors: list[Fields] = [
        {0: np.array(shape, np.int32), 1: np.int8(kind), 2: np.uint32(0), 3: name}
        for name, shape in (("x", given), ("y", answer))
    ]
    code = 101 if kind == 0 else 22
    operator: Fields = {0: np.uint32(0), 1: np.array([0], np.int32), 2: np.array([1], np.int32)}
    if kind:
        operator |= {3: np.uint8(17), 4: {0: np.array(answer, np.int32)}}
    graph: Fields = {0: tensors, 1: np.array([0], np.int32), 2: np.array([1], np.int32), 3: [operator]}
    root: Fields = {0: np.uint32(3), 1: [{0: np.int8(code), 3: np.int32(code)}], 2: [graph], 4: [{}]}
    path = tmp_path / "other.tflite"
    path.write_bytes(build(root, b"TFL3"))
    with pytest.raises(ModelFileError, match=reason) as caught:
        open_session(path)
    assert "\n" not in str(caught.value)


def test_unknown_operator_is_one_line(make_foreign_tflite: MakeModel) -> None:
    with pytest.raises(
        ModelFileError, match="cannot be run by ai-edge-litert: .*FULLY_CONNECTED.*version '99'"
    ) as caught:
        open_session(make_foreign_tflite(versions={"FULLY_CONNECTED": 99}))
    assert "\n" not in str(caught.value)


def test_missing_interpreter_names_the_extra(make_foreign_tflite: MakeModel) -> None:
    code = (
        "import sys; sys.modules.update(ai_edge_litert=None, tflite_runtime=None)\n"
        "from edgevit.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "run", str(make_foreign_tflite()), "x.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == (
        "edgevit: ai-edge-litert is not installed, and running a .tflite file needs it; "
        "run: pip install 'edgevit[tflite]'\n"
    )
