"""What pip installed that crashes, does not fit together or has known holes is found."""

import shutil

import pytest

from edgevit.doctor.environment import Environment
from edgevit.doctor.packages import (
    check_holes,
    check_imports,
    check_numpy,
    check_onnxruntime,
    check_opencv,
    check_torch,
)
from tests.doctor.made_machine import GOOD_PACKAGES, changed, command, only
from tests.places import MACHINES


@pytest.mark.parametrize(
    ("machine", "version", "level"),
    [
        ("rpi4", "1.21.0", "fail"),
        ("rpi5", "1.21.0", "warn"),
        ("rpi4", "1.21.1", "ok"),
        ("rpi4", "1.19.2", "warn"),
        ("rpi4", None, "fail"),
    ],
)
def test_onnxruntime_that_crashes_on_armv80_is_found(
    board: Environment, machine: str, version: str | None, level: str
) -> None:
    shutil.copytree(MACHINES / machine, board.root, dirs_exist_ok=True)
    finding = only(check_onnxruntime, changed(board, packages={"onnxruntime": version} if version else {}))
    assert finding.level == level
    assert finding.remedy in ("", "pip install 'onnxruntime>=1.20,!=1.21.0'")


@pytest.mark.parametrize(
    ("packages", "level", "remedy"),
    [
        (
            {"numpy": "2.1.0", "tflite-runtime": "2.14.0"},
            "fail",
            "pip install ai-edge-litert, or: pip install 'numpy<2'",
        ),
        ({"numpy": "2.1.0", "tflite-runtime": "2.14.0", "ai-edge-litert": "2.3.0"}, "warn", "pip uninstall"),
        ({"numpy": "1.26.4", "tflite-runtime": "2.14.0"}, "ok", ""),
        ({"numpy": "2.1.0", "opencv-python-headless": "4.9.0.80"}, "fail", "pip install --upgrade opencv"),
        ({"numpy": "1.26.4", "opencv-python-headless": "4.12.0.88"}, "warn", "'opencv-python-headless<4.12'"),
        ({"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}, "ok", ""),
        ({}, "fail", "pip install numpy"),
    ],
)
def test_packages_of_another_numpy_are_found(
    board: Environment, packages: dict[str, str], level: str, remedy: str
) -> None:
    finding = only(check_numpy, changed(board, packages=packages))
    assert finding.level == level
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("packages", "remedy"),
    [
        ({"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}, "ai-edge-litert 'numpy>=2'"),
        ({"numpy": "2.4.6", "opencv-python-headless": "4.11.0.86"}, "'opencv-python-headless>=4.12'"),
        ({"torch": "2.9.1"}, "'torch>=2.10'"),
        ({"onnx": "1.20.1"}, "'onnx>=1.21'"),
    ],
)
def test_versions_with_known_holes_are_found(board: Environment, packages: dict[str, str], remedy: str) -> None:
    finding = only(check_holes, changed(board, packages=packages))
    assert finding.level == "warn"
    assert finding.remedy.endswith(remedy)


def test_versions_without_known_holes_are_not_spoken_of(board: Environment) -> None:
    packages = {"opencv-python-headless": "4.12.0.88", "torch": "2.10.0", "onnx": "1.21.0"}
    assert list(check_holes(changed(board, packages=packages))) == []


def test_opencv_with_windows_on_a_headless_board_is_found(board: Environment) -> None:
    with_windows = changed(board, packages={"opencv-python": "4.11.0.86"})
    finding = only(check_opencv, with_windows)
    assert finding.level == "warn"
    assert finding.remedy == "pip uninstall -y opencv-python && pip install opencv-python-headless"
    assert only(check_opencv, changed(with_windows, display=True)).level == "ok"
    both = changed(board, packages={"opencv-python": "4.11.0.86", "opencv-python-headless": "5.0.0.93"})
    assert "overwrite each other's cv2" in only(check_opencv, both).text
    assert only(check_opencv, changed(board, packages={})).level == "fail"


def test_torch_is_a_warning_where_it_dies(board: Environment) -> None:
    assert list(check_torch(board)) == []
    with_torch = changed(board, packages=GOOD_PACKAGES | {"torch": "2.13.0"})
    assert "export on a PC" in only(check_torch, with_torch).text
    assert only(check_torch, changed(with_torch, machine="x86_64")).level == "ok"


@pytest.mark.parametrize(
    ("script", "level", "text"),
    [
        ("kill -ILL $$", "fail", "importing onnxruntime 1.31.1 dies with an illegal instruction"),
        ("kill -SEGV $$", "fail", "importing onnxruntime 1.31.1 dies with SIGSEGV"),
        ("echo 'AttributeError: _ARRAY_API not found' >&2", "fail", "was built for another numpy"),
        ("echo 'Traceback' >&2; echo 'ImportError: libGL.so.1' >&2; exit 1", "fail", "fails: ImportError: libGL.so.1"),
        ("exit 0", "ok", "onnxruntime 1.31.1 can be imported"),
    ],
)
def test_import_that_kills_the_process_is_survived_and_explained(
    board: Environment, script: str, level: str, text: str
) -> None:
    command(board, "python", script)
    finding = only(check_imports, changed(board, packages={"onnxruntime": "1.31.1"}))
    assert finding.level == level
    assert text in finding.text
