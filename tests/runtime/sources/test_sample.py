"""The sample picture: there without a file, drawn by a script, and recognized by the bundled models."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.images.read import read_image
from edgevit.runtime.sources.sample import PICTURE
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


def test_script_draws_the_sample() -> None:
    spec = importlib.util.spec_from_file_location("draw_sample", ROOT / "tools" / "draw_sample.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    stored = read_image(PICTURE)
    # JPEG changes a little; another picture would differ by dozens
    assert np.abs(script.draw().astype(int) - stored).mean() < 4
    assert PICTURE.stat().st_size < 40_000
