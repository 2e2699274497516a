"""`pip install .` in an environment of its own: what a board gets, and that it is enough."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgevit import __version__
from tests.environments import install_board
from tests.places import ROOT

ABSENT = {"torch", "onnx", "onnxscript", "onnxsim", "pillow", "safetensors"}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a fresh environment with the board's install."""
    return install_board(tmp_path_factory.mktemp("board"))


@pytest.mark.parametrize("target", ["board", "pc"])
def test_weights_are_in_the_wheel_for_a_pc_and_a_build_of_its_own_is_for_a_board(target: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "EDGEVIT_BOARD"}
    environment |= {"EDGEVIT_BOARD": "20261201093000.g1a2b3c4"} if target == "board" else {}
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package registry can be reached, so no wheel can be built")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    version = __version__ + ("+20261201093000.g1a2b3c4" if target == "board" else "")
    assert wheel.name == f"edgevit-{version}-py3-none-any.whl"
    assert f'\n__version__ = "{version}"\n' in zipfile.ZipFile(wheel).read("edgevit/__init__.py").decode()
    names = zipfile.ZipFile(wheel).namelist()
    weights = [name for name in names if name.startswith("edgevit/export/weights/")]
    assert {"edgevit/runtime/classifier.py", "edgevit/cli/run.py", "edgevit/models/zoo/latency.json"} <= set(names)
    classes = {f"edgevit/models/zoo/{name}_classes.txt" for name in ("imagenet", "tiny_imagenet")}
    assert classes <= set(names)  # without them no command that names a model starts
    assert {"edgevit/runtime/sources/sample.jpg", "edgevit/runtime/sources/sample-scene.jpg"} <= set(names)
    assert (len(weights) == 0, wheel.stat().st_size < 1_200_000) == (target == "board", target == "board")


def test_each_board_wheel_is_alone_and_named_for_its_time_and_commit(tmp_path: Path) -> None:
    """Pip passes over a wheel of the version that is installed, and two wheels in the folder would both be copied."""
    pip = tmp_path / ".venv" / "bin" / "pip"
    stale = tmp_path / "build" / "board" / "lib" / "edgevit" / "removed.py"
    for folder in (pip.parent, stale.parent):
        folder.mkdir(parents=True)
    pip.write_text('#!/bin/sh\nmkdir -p dist/board && touch "dist/board/$EDGEVIT_BOARD.whl"\n')
    pip.chmod(0o755)
    stale.touch()
    shutil.copy(ROOT / "Makefile", tmp_path)

    def built() -> str:
        subprocess.run(["make", "board-wheel"], cwd=tmp_path, env=clean, check=True, capture_output=True)
        (wheel,) = (tmp_path / "dist" / "board").iterdir()
        return wheel.stem

    clean = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "MAKE"))}
    clean["GIT_CEILING_DIRECTORIES"] = str(tmp_path.parent)
    assert re.fullmatch(r"\d{14}", built())
    assert not stale.exists()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "Makefile"), ("commit", "-qm", "first")):
        subprocess.run([*git, *command], cwd=tmp_path, env=clean, check=True)
    assert re.fullmatch(r"\d{14}\.g[0-9a-f]{7,}", built())
    with (tmp_path / "Makefile").open("a") as file:
        file.write("# more\n")
    assert re.fullmatch(r"\d{14}\.g[0-9a-f]{7,}\.changed", built())


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
