"""The sample pictures: there without a file, drawn by scripts; tests/test_bundled*.py have what models say of them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.images.read import read_image
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.sample import PICTURE, SCENE, sample_for
from tests.conftest import Run, SaveImage
from tests.places import ROOT


def test_sample_is_classified_without_a_file(run: Run, tiny_model: Path) -> None:
    # the picture's mean colour is bluer than green and greener than red: sea and sky
    code, out, err = run("run", tiny_model, "sample")
    assert (code, err) == (0, "")
    assert out.startswith("blue "), "a single picture's line begins with the answer"
    code, out, _ = run("run", tiny_model, "sample", "--json")
    assert json.loads(out)["source"] == "sample"


def test_a_file_of_that_name_comes_first(
    run: Run, tiny_model: Path, save_image: SaveImage, red_image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    save_image("red.png", red_image).rename("sample")
    assert run("run", tiny_model, "sample")[1].startswith("red ")


def test_a_detector_sees_the_scene(run: Run, tiny_detector: Path) -> None:
    code, out, err = run("run", tiny_detector, "sample", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["source"], document["size"]) == ("sample", [240, 320])


def test_other_sources_are_what_they_are(save_image: SaveImage, red_image: NDArray[np.uint8]) -> None:
    sample, other = Source("path", "sample", "sample"), Source("path", "hens.jpg", "hens.jpg")
    assert sample_for("detect", sample) == Source("path", str(SCENE), "sample")
    assert sample_for("classify", sample) == sample
    assert sample_for("detect", other) == other


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_draws_the_sample() -> None:
    # JPEG changes a little; another picture would differ by dozens
    assert np.abs(script("draw_sample").draw().astype(int) - read_image(PICTURE)).mean() < 4
    assert PICTURE.stat().st_size < 40_000


def test_script_draws_the_scene() -> None:
    picture, truth = script("draw_sample_scene").draw()
    assert np.abs(picture.astype(int) - read_image(SCENE)).mean() < 4
    assert np.bincount(truth.classes).tolist() == [2, 1, 1]
    assert SCENE.stat().st_size < 10_000
