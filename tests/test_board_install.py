"""`pip install .` in an environment of its own: what a board gets, and that it is enough."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.environments import install_board
from tests.places import ROOT

ABSENT = {"torch", "onnx", "onnxscript", "onnxsim", "pillow", "safetensors"}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a fresh environment with the board's install."""
    return install_board(tmp_path_factory.mktemp("board"))


@pytest.mark.parametrize("target", ["board", "pc"])
def test_weights_are_in_the_wheel_for_a_pc_and_not_in_that_for_a_board(target: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "EDGEVIT_BOARD"}
    environment |= {"EDGEVIT_BOARD": "1"} if target == "board" else {}
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package registry can be reached, so no wheel can be built")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    weights = [name for name in names if name.startswith("edgevit/export/weights/")]
    assert {"edgevit/runtime/classifier.py", "edgevit/cli/run.py", "edgevit/models/zoo/latency.json"} <= set(names)
    classes = {f"edgevit/models/zoo/{name}_classes.txt" for name in ("imagenet", "tiny_imagenet")}
    assert classes <= set(names)  # without them no command that names a model starts
    assert {"edgevit/runtime/sources/sample.jpg", "edgevit/runtime/sources/sample-scene.jpg"} <= set(names)
    assert (len(weights) == 0, wheel.stat().st_size < 1_200_000) == (target == "board", target == "board")


def board_run(board: Path, *arguments: str | Path, cwd: Path) -> str:
    """Run a command of the board's environment away from the checkout, and return its output."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [board / arguments[0], *arguments[1:]], capture_output=True, text=True, cwd=cwd, env=clean, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_board_install_has_neither_torch_nor_onnx(board: Path, tmp_path: Path) -> None:
    listed = json.loads(board_run(board, "python", "-m", "pip", "list", "--format", "json", cwd=tmp_path))
    names = {package["name"].lower() for package in listed}
    assert {"edgevit", "numpy", "onnxruntime", "opencv-python-headless", "click"} <= names
    assert not names & ABSENT


def test_board_runs_and_proves_a_model(board: Path, tiny_model: Path, red_image: object, save_image: object) -> None:
    folder = tiny_model.parent
    picture = save_image("red.png", red_image)  # type: ignore[operator]
    line = json.loads(board_run(board, "edgevit", "run", tiny_model, picture, "--json", cwd=folder))
    assert line["top1"] == "red"
    assert "passed" in board_run(board, "edgevit", "selftest", tiny_model, cwd=folder)
    code = f"import edgevit; print(edgevit.load({str(tiny_model)!r})({str(picture)!r}).top1)"
    assert board_run(board, "python", "-c", code, cwd=folder) == "red\n"


def test_board_lists_the_zoo_and_says_how_to_get_the_exporter(board: Path, tmp_path: Path) -> None:
    assert "sbcformer_xs" in board_run(board, "edgevit", "models", cwd=tmp_path)
    done = subprocess.run([board / "edgevit", "export", "sbcformer_xs"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install 'edgevit[export]'" in done.stderr
    assert "Traceback" not in done.stderr
