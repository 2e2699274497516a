"""Weights that are a start for training, and published ones, come without images to calibrate int8 with."""

from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.models.weights import resolve


def test_int8_of_a_start_asks_for_images(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(OptionError, match="int8= needs images to calibrate with"):
        export(Recipe("efficientvit_b0", weights="pretrained", precision="int8"), path)
    assert not path.exists()


def test_published_weights_are_not_fetched_for_int8_that_nothing_calibrates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "fetch", lambda entry: pytest.fail("the weights were fetched"))
    with pytest.raises(OptionError, match="int8= needs images to calibrate with"):
        export(Recipe("efficientvit_b0", weights="imagenet", precision="int8"), tmp_path / "m.onnx")
