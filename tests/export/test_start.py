"""Weights that are a start for training come without images to calibrate int8 with."""

from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe


def test_int8_of_a_start_asks_for_images(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(OptionError, match="int8= needs images to calibrate with"):
        export(Recipe("efficientvit_b0", weights="pretrained", precision="int8"), path)
    assert not path.exists()
