"""TFLite export of segmentation models: masks as PyTorch's, class numbers in the graph, integer ends."""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from ai_edge_litert.interpreter import Interpreter

import edgevit
from edgevit.errors import OptionError
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.export.result import ExportResult
from edgevit.export.tflite.ends import with_class_numbers
from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.runtime.images.masks import class_map
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.segmenter import Segmenter
from edgevit.runtime.selftest import check_selftest

RANDOM = Recipe("efficientvit_seg_b0_cityscapes", weights="random", imgsz=(64, 96), format="tflite")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export(RANDOM, tmp_path_factory.mktemp("float") / "seg.tflite")


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """A smooth picture of the input's size, so that no scaling comes between."""
    cells = np.random.default_rng(3).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(cells, (96, 64), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 20 smooth pictures."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(20):
        cells = random.integers(0, 256, (4, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(cells, (96, 64), interpolation=cv2.INTER_CUBIC))
    return folder


def answer(path: Path, picture: NDArray[np.uint8]) -> Segmentation:
    check_selftest(path)
    with edgevit.load(path, threads=1) as segmenter:
        assert isinstance(segmenter, Segmenter)
        result = segmenter(picture)
    assert isinstance(result, Segmentation)
    assert result.mask.shape == picture.shape[:2]
    return result


def run(model: bytes, inputs: NDArray[np.float32]) -> Any:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_float_file_agrees_with_pytorch_pixel_by_pixel(exported: ExportResult, picture: NDArray[np.uint8]) -> None:
    parity = exported.manifest.parity[-1]
    assert (parity.step, parity.top1_agreement >= 0.999) == ("conversion", True)
    assert parity.max_abs < 1e-4
    assert answer(exported.path, picture).probabilities is not None
    # only the answer is brought from channels last to channels first
    names = [name for name, _ in operators(opened(exported.path.read_bytes()))]
    head = names[max(i for i, name in enumerate(names) if name == "BATCH_MATMUL") :]
    assert head.count("TRANSPOSE") == 1


def test_masks_are_those_of_the_onnx_file(exported: ExportResult, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    onnx = export(dataclasses.replace(RANDOM, format="onnx"), tmp_path / "seg.onnx").path
    assert (answer(exported.path, picture).mask == answer(onnx, picture).mask).mean() >= 0.999


def test_argmax_in_the_graph_gives_bytes(exported: ExportResult, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).standard_normal((1, 64, 96, 3)).astype(np.float32)
    logits, plain = exported.path.read_bytes(), with_class_numbers(exported.path.read_bytes())
    numbers = run(plain, inputs)
    assert (numbers.dtype, numbers.shape) == (np.uint8, (1, 1, 8, 12))
    assert np.array_equal(numbers[0, 0], class_map(run(logits, inputs)[0]))
    path = export(dataclasses.replace(RANDOM, argmax=True), tmp_path / "numbers.tflite").path
    result = answer(path, picture)
    assert result.logits is None
    # in the middle of a cell both forms say the same
    assert np.array_equal(result.mask[4::8, 4::8], class_map(answer(exported.path, picture).logits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"precision": "fp16"}, marks=pytest.mark.slow),
        pytest.param({"precision": "dynamic"}, marks=pytest.mark.slow),
        pytest.param({"precision": "int8"}, marks=pytest.mark.slow),
        {"precision": "int8", "io": "uint8"},
        pytest.param({"precision": "int8", "io": "int8", "argmax": True, "num_classes": 300}, marks=pytest.mark.slow),
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_every_precision_answers_with_masks(
    changes: dict[str, Any], photos: Path, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    report = export(dataclasses.replace(RANDOM, data=photos, **changes), tmp_path / "seg.tflite")
    assert sum(answer(report.path, picture).areas.values()) == pytest.approx(100)
    quantization = report.manifest.quantization
    assert quantization is None or quantization.int8_mac_share > 0.7


def test_a_layout_for_classifiers_is_refused(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RANDOM, precision="int8", io="uint8", layout="frigate", imgsz=None)
    with pytest.raises(OptionError, match="layout='frigate' is for classifiers"):
        export(recipe, tmp_path / "out")
