"""The two classifiers that come with the package: small, int8, accurate, right about a photograph from elsewhere."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output
from edgevit.export.result import ExportResult
from edgevit.models import list_models
from edgevit.models.zoo.registry import get_spec
from tests.places import SHARED

BUNDLED = [name for name in list_models("classify") if any(weights.bundled for weights in get_spec(name).weights)]
PRECISIONS = ("fp32", "int8")
CIFAR10 = SHARED / "data" / "cifar10-test.zip"
EACH_CLASS = 50
LEAST_ACCURACY = 0.83
"""The model card's 85 % on all 10,000 images, less a little more than the standard error of so few."""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportResult]:
    """Export each bundled model as `edgevit export NAME` and `edgevit export NAME --int8` do."""
    folder = tmp_path_factory.mktemp("bundled")
    recipes = [Recipe(name, precision=precision) for name in BUNDLED for precision in PRECISIONS]  # type: ignore[arg-type]
    return {f"{r.model} {r.precision}": export(r, folder / default_output(r)) for r in recipes}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of each class of CIFAR-10's test set."""
    if not CIFAR10.is_file():
        pytest.skip(f"{CIFAR10.name} is not beside the project")
    folder = tmp_path_factory.mktemp("cifar10")
    with zipfile.ZipFile(CIFAR10) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        taken: dict[str, int] = {}
        for name in names:
            label = Path(name).parent.name
            taken[label] = taken.get(label, 0) + 1
            if taken[label] <= EACH_CLASS:
                archive.extract(name, folder)
    return folder


def test_two_classifiers_are_bundled() -> None:
    assert BUNDLED == ["sbcformer_xs", "efficientvit_b0"]


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_sample_is_a_ship(exports: dict[str, ExportResult], name: str, precision: str) -> None:
    with edgevit.load(exports[f"{name} {precision}"].path) as classifier:
        (result,) = classifier.stream("sample")
    assert result.top1 == "ship"
    assert result.top1_conf > 0.8


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_cat_is_a_cat(exports: dict[str, ExportResult], name: str, precision: str) -> None:
    with edgevit.load(exports[f"{name} {precision}"].path) as classifier:
        assert classifier(skimage.data.chelsea()).top1 == "cat"  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", BUNDLED)
def test_file_says_plainly_what_the_weights_know(exports: dict[str, ExportResult], name: str) -> None:
    manifest = read_manifest(exports[f"{name} int8"].path)
    assert manifest is not None
    assert manifest.weights.note == "10 classes, CIFAR-10, not ImageNet"
    assert manifest.weights.trained
    assert len(manifest.labels) == 10
    assert manifest.quantization is not None
    assert manifest.quantization.calibration is not None
    assert manifest.quantization.calibration.source == "bundled"


def test_nine_tenths_of_sbcformer_run_in_int8(exports: dict[str, ExportResult]) -> None:
    quantization = exports["sbcformer_xs int8"].manifest.quantization
    assert quantization is not None
    assert quantization.int8_mac_share >= 0.9


@pytest.mark.parametrize("name", BUNDLED)
def test_int8_file_is_at_most_three_tenths_of_the_float_file(exports: dict[str, ExportResult], name: str) -> None:
    assert exports[f"{name} int8"].size_mb <= 0.3 * exports[f"{name} fp32"].size_mb


@pytest.mark.parametrize("name", BUNDLED)
def test_int8_recognizes_what_float_recognizes(exports: dict[str, ExportResult], photographs: Path, name: str) -> None:
    right = {
        precision: np.mean(list(answers(exports[f"{name} {precision}"].path, photographs))) for precision in PRECISIONS
    }
    assert right["fp32"] >= LEAST_ACCURACY
    assert right["fp32"] - right["int8"] <= 0.02


def answers(model: Path, folder: Path) -> Iterator[bool]:
    """Yield for each image whether the model names its folder."""
    with edgevit.load(model) as classifier:
        for path in sorted(folder.rglob("*.jpg")):
            yield classifier(path).top1 == path.parent.name
