"""Both TFLite runtimes, each in an environment of its own with the board's install and the numpy it is made for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.export.tflite.metadata import Fields, build
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.backends.tflite_operators import OLD as OLD_OPERATORS
from edgevit.runtime.selftest import record_cases
from tests.environments import install_board, pip_install

OLD = ("tflite-runtime==2.14.0", "numpy<2")
NEW = ("ai-edge-litert>=2.0", "numpy>=2")

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command of a board with tflite-runtime 2.14."""
    if sys.version_info[:2] > (3, 11):
        pytest.skip("tflite-runtime 2.14 has no wheel for Python beyond 3.11")
    return install_board(tmp_path_factory.mktemp("old"), OLD) / "edgevit"


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command of a board with ai-edge-litert."""
    return install_board(tmp_path_factory.mktemp("new"), NEW) / "edgevit"


def _call(command: Path, name: str, model: Path, *more: Path, newer: Path | None = None) -> tuple[int, str, str]:
    """Run a command away from the checkout, with the packages in `newer` before its own."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(newer)} if newer else {}
    done = subprocess.run(
        [command, name, model, *more], capture_output=True, text=True, cwd=model.parent, env=environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("board", ["old", "new"])
def test_board_runs_and_proves_a_tflite_file(
    board: str,
    dtype: str,
    request: pytest.FixtureRequest,
    make_tflite: MakeModel,
    save_image: SaveImage,
    red_image: NDArray[np.uint8],
) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, which records the self-test, is not installed")
    command: Path = request.getfixturevalue(board)
    zero = 0 if dtype == "int8" else 128
    graph = {"dtype": dtype, "scales": ((4 / 255, zero), (1 / 16, zero))}
    preprocessing = Preprocess((24, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    path = make_tflite(
        graph=graph, selftest=record_cases(open_session(make_tflite(graph=graph)), preprocessing, "int8")
    )
    code, out, err = _call(command, "run", path, save_image("red.png", red_image))
    assert (code, out[:3]) == (0, "red"), err
    code, out, err = _call(command, "selftest", path)
    assert (code, "passed" in out) == (0, True), err


@pytest.fixture(scope="module", params=[*(pytest.param(p, marks=pytest.mark.slow) for p in ("fp32", "fp16")), "int8"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of the zoo's smallest model, as users export it."""
    pytest.importorskip("litert_torch", reason="needs the extra tflite-export")
    from edgevit.export.pipeline import export
    from edgevit.export.recipe import Recipe

    folder, random = tmp_path_factory.mktemp(request.param), np.random.default_rng(0)
    for number in range(20):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 256, (64, 64, 3), np.uint8))
    recipe = Recipe(
        "efficientvit_b0",
        weights="random",
        num_classes=4,
        imgsz=64,
        format="tflite",
        precision=request.param,
        io="uint8" if request.param == "int8" else "float",
        data=folder,
    )
    return export(recipe, folder / "m.tflite").path


@pytest.mark.parametrize("board", ["old", "new"])
def test_board_proves_an_exported_model(board: str, request: pytest.FixtureRequest, exported: Path) -> None:
    command: Path = request.getfixturevalue(board)
    code, out, err = _call(command, "selftest", exported)
    assert (code, "passed" in out) == (0, True), err


@pytest.mark.parametrize(
    ("graph", "fault"),
    [
        ({"versions": {"FULLY_CONNECTED": 12}}, "it has no FULLY_CONNECTED v12"),
        (
            {"weights": np.eye(3, dtype=np.int8), "weight_scales": (4.0, 4.0, 4.0)},
            "it computes dynamic-range fully connected layers wrongly",
        ),
    ],
)
def test_old_runtime_is_not_given_what_it_cannot_compute(
    old: Path, make_tflite: MakeModel, graph: dict[str, Any], fault: str
) -> None:
    path = make_tflite(graph=graph)
    code, out, err = _call(old, "run", path, path)
    expected = f"edgevit: {path} cannot be run by tflite-runtime 2.14: {fault}; run: pip install ai-edge-litert\n"
    assert (code, out, err) == (1, "", expected)


def test_new_runtime_computes_dynamic_range(
    new: Path, make_tflite: MakeModel, save_image: SaveImage, red_image: NDArray[np.uint8]
) -> None:
    weights = np.eye(3, dtype=np.int8)
    path = make_tflite(graph={"weights": weights, "weight_scales": (4.0, 4.0, 4.0)})
    code, out, err = _call(new, "run", path, save_image("red.png", red_image))
    assert (code, out[:3]) == (0, "red"), err


def test_old_runtime_with_numpy_2_is_told_in_one_line(old: Path, make_tflite: MakeModel, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    pip_install(old.parent / "python", "--target", str(newer), "numpy==2.2.6")
    path = make_tflite()
    code, out, err = _call(old, "run", path, path, newer=newer)
    assert (code, out) == (2, "")
    assert err == (
        "edgevit: tflite-runtime 2.14 does not work with numpy 2.2.6; run: pip install ai-edge-litert, "
        "or pip install 'numpy<2'\n"
    )


def test_table_of_operators_is_the_old_runtimes_own(old: Path, tmp_path: Path) -> None:
    """Every operator is offered to the wheel in its newest version of the table, and in the next one."""
    for code, (_, newest) in enumerate(OLD_OPERATORS):
        for version in filter(None, (newest, newest + 1)):
            (tmp_path / f"{code}-{version}.tflite").write_bytes(_one_operator(code, version))
    done = subprocess.run([old.parent / "python", "-c", OFFER, tmp_path], capture_output=True, text=True, check=True)
    known = set(done.stdout.split())
    for code, (name, newest) in enumerate(OLD_OPERATORS):
        assert newest == 0 or f"{code}-{newest}" in known, f"{name} v{newest}"
        assert f"{code}-{newest + 1}" not in known, f"{name} v{newest + 1}"


OFFER = """
import os, pathlib, sys
from tflite_runtime.interpreter import Interpreter
for path in pathlib.Path(sys.argv[1]).glob("*-*.tflite"):
    child = os.fork()  # some operators without their options end the process
    if child:
        os.waitpid(child, 0)
        continue
    try:
        Interpreter(model_path=str(path))
        known = True
    except ValueError as error:
        known = "Didn't find op" not in str(error) and "CUSTOM" not in str(error)
    if known:
        os.write(1, f"{path.stem} ".encode())
    os._exit(0)
"""


def _one_operator(code: int, version: int) -> bytes:
    """Return a model of one operator, from four float values to four."""
    tensors: list[Fields] = [
        {0: np.array([1, 4], np.int32), 1: np.int8(0), 2: np.uint32(0), 3: name} for name in ("x", "y")
    ]
    operator: Fields = {0: np.uint32(0), 1: np.array([0], np.int32), 2: np.array([1], np.int32)}
    graph: Fields = {0: tensors, 1: np.array([0], np.int32), 2: np.array([1], np.int32), 3: [operator]}
    entry: Fields = {0: np.int8(min(code, 127)), 2: np.int32(version), 3: np.int32(code)}
    return build({0: np.uint32(3), 1: [entry], 2: [graph], 4: [{}]}, b"TFL3")
