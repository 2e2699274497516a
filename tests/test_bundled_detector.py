"""The detector that comes with the package: small, there without a network, and right about scenes it has not seen."""

import hashlib
from pathlib import Path

import pytest

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.export.data.scenes import CLASSES, draw_scene
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output
from edgevit.export.result import ExportResult
from edgevit.models.weights.resolve import bundled_path, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.detector import Detector
from edgevit.runtime.evaluation.average_precision import average_precision

NAME = "efficientvit_b0_det"
LEAST_AP50 = 0.95
"""Float finds 0.999 of it on the scenes below."""
FIRST_SEED, SCENES = 400_000, 20
"""Seeds by which nothing else was trained, calibrated or chosen."""
LEAST_SCORE = 0.01


@pytest.fixture(scope="module")
def float_export(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """Export as `edgevit export NAME` does."""
    recipe = Recipe(NAME)
    return export(recipe, tmp_path_factory.mktemp("float") / default_output(recipe))


@pytest.fixture(scope="module")
def int8_export(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """Export as `edgevit export NAME --int8` does: no folder of images is given."""
    recipe = Recipe(NAME, precision="int8")
    return export(recipe, tmp_path_factory.mktemp("int8") / default_output(recipe))


def scenes_ap50(path: Path) -> float:
    """Return the mean over the drawn classes of how well a model finds them where their boxes are known exactly."""
    pictures = [draw_scene(seed) for seed in range(FIRST_SEED, FIRST_SEED + SCENES)]
    with edgevit.load(path, task="detect") as detector:
        assert isinstance(detector, Detector)
        first = detector.names.index(CLASSES[0])
        found = [detector.find(image, threshold=LEAST_SCORE) for image, _ in pictures]
        truth = [TrueBoxes(true.boxes, true.classes + first, true.crowd) for _, true in pictures]
        precision = average_precision(truth, found, len(detector.names))
    assert precision.ap50 is not None
    return precision.ap50


def answer_to_sample(path: Path) -> str:
    with edgevit.load(path) as detector:
        (result,) = detector.stream("sample")
    return str(result)


def test_the_file_is_small_and_is_the_one_that_the_card_is_about() -> None:
    spec = get_spec(NAME)
    (entry,) = spec.weights
    weights = resolve_weights(spec, None)
    path = bundled_path(entry)
    assert path.stat().st_size < 2_500_000
    assert path.with_suffix(".json").is_file()
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights == resolve_weights(spec, "aquarium")
    assert weights.license == "CC BY 4.0"
    assert "Roboflow" in entry.source


def test_unseen_scenes_are_found(float_export: ExportResult) -> None:
    assert scenes_ap50(float_export.path) >= LEAST_AP50


def test_objects_of_the_sample_are_counted(float_export: ExportResult) -> None:
    assert answer_to_sample(float_export.path) == "ellipse 2, rectangle 1, triangle 1"


def test_file_says_plainly_what_the_weights_know(float_export: ExportResult) -> None:
    manifest = read_manifest(float_export.path)
    assert manifest is not None
    assert manifest.weights.note == "10 classes, Aquarium Combined and drawn scenes, not COCO"
    assert manifest.labels[:2] == ("fish", "jellyfish")
    assert manifest.labels[-3:] == CLASSES
    assert manifest.preprocess.size == (320, 320)


@pytest.mark.slow
def test_int8_calibrated_on_drawn_scenes_finds_them_too(int8_export: ExportResult, float_export: ExportResult) -> None:
    quantization = int8_export.manifest.quantization
    assert quantization is not None
    assert quantization.calibration is not None
    assert quantization.calibration.source == "drawn"
    assert quantization.int8_mac_share >= 0.9
    assert scenes_ap50(int8_export.path) >= LEAST_AP50
    assert answer_to_sample(int8_export.path) == answer_to_sample(float_export.path)
    # four tenths of the float file, as scores, boxes and attention stay in half precision or float
    assert int8_export.size_mb <= 0.4 * int8_export.float_size_mb
