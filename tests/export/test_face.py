"""`from edgevit.export import export`: what Python users import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgevit.export
from edgevit.errors import OptionError
from edgevit.export import ExportResult, Recipe, export
from edgevit.export.recipe import default_options
from tests.places import ROOT

RANDOM: dict[str, Any] = {"weights": "random", "num_classes": 4, "imgsz": 64}


def test_importing_the_face_costs_nothing() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "numpy", "cv2")
    code = f"import sys, edgevit.export; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_face_shows_its_names() -> None:
    assert {"ExportResult", "Recipe", "export"} <= set(dir(edgevit.export))
    with pytest.raises(AttributeError, match="has no attribute 'exprot'"):
        _ = edgevit.export.exprot


def test_export_returns_what_was_made(tmp_path: Path) -> None:
    result = export("efficientvit_b0", str(tmp_path / "m.onnx"), int8=False, **RANDOM)
    assert isinstance(result, ExportResult)
    assert result.path == tmp_path / "m.onnx"
    assert result.size_mb == pytest.approx(result.path.stat().st_size / 1e6)
    assert (result.manifest.precision, result.manifest.labels[0]) == ("fp32", "class 0")
    assert (result.latencies_ms, result.speedup) == (None, None)
    assert len(repr(result)) < 200 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "int9"}, "precision= is 'int9', expected one of fp32, fp16, int8, dynamic"),
        ({"data": 5}, "data= is 5, expected a path"),
        ({"imgsz": "224"}, "imgsz= is '224', expected a whole number or 2 values"),
        ({"batch": 0}, "batch= is 0, expected a whole number, 1 or more"),
        ({"seed": 1.5}, "seed= is 1.5, expected a whole number"),
        ({"seed": 10**22}, f"seed= is {10**22}, expected a whole number from 0 to 9223372036854775807"),
        ({"max_drop": 101}, "max_drop= is 101, expected a number from 0 to 100"),
        ({"synthesized": "yes"}, "synthesized= is 'yes', expected true or false"),
        ({"calibration_image": 3}, r"there is no option calibration_image=; did you mean calibration_images=\?"),
        ({"opset": 9}, "opset=9 is not supported; choose one of 17"),
        ({"target": 5}, "target= is 5, expected text"),
        ({"int8": True, "precision": "fp16"}, "precision='fp16' and int8= are two different files; export twice"),
    ],
)
def test_wrong_option_is_told_as_python_has_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        export("efficientvit_b0", **given)


def test_message_names_the_option_of_the_command_line_there() -> None:
    with pytest.raises(OptionError) as caught:
        Recipe("efficientvit_b0", precision="int9")  # type: ignore[arg-type]
    assert caught.value.command_line_text.startswith("--precision is 'int9', expected one of")


def test_text_and_lists_take_the_form_that_a_recipe_has() -> None:
    recipe = Recipe("efficientvit_b0", data="photos", imgsz=[64, 96])  # type: ignore[arg-type]
    assert (recipe.data, recipe.imgsz) == (Path("photos"), (64, 96))
    assert Recipe("efficientvit_b0", weights=Path("own.pt")).weights == Path("own.pt")


def test_recipe_takes_the_place_of_options() -> None:
    with pytest.raises(OptionError, match="a Recipe says all there is to say; put imgsz, data into it"):
        export(Recipe("efficientvit_b0"), imgsz=64, data="photos")
    with pytest.raises(OptionError, match="a Recipe says all there is to say; put int8 into it"):
        export(Recipe("efficientvit_b0"), int8=True)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, {"format": "onnx", "io": "float", "layout": "file"}),
        ({"target": "rpi4"}, {"format": "tflite", "io": "float", "layout": "file"}),
        ({"target": "rpi4", "format": "onnx"}, {"format": "onnx", "io": "float", "layout": "file"}),
        ({"layout": "frigate", "io": None}, {"format": "tflite", "io": "uint8", "precision": "int8"}),
        ({"layout": "frigate", "model": "efficientvit_b0_det"}, {"format": "onnx", "io": "float", "precision": "fp32"}),
    ],
)
def test_format_follows_from_target_and_layout(given: dict[str, Any], chosen: dict[str, str]) -> None:
    assert default_options({"model": "efficientvit_b0", **given}).items() >= chosen.items()
