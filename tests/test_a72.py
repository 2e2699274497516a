"""What the board is promised, on the real aarch64 wheels on an emulated Cortex-A72, with Python 3.11 and 3.13.

`make test-a72` builds the emulation and the models, and runs this; elsewhere all of it is skipped.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.enroll.settings import enrollment_path
from edgevit.runtime.loading import load
from edgevit.runtime.update.enrollment import write_enrollment
from tests.made_signed_site import MadeSite
from tests.made_static_web import serving
from tests.made_update_board import make_board
from tests.places import ROOT

A72 = Path(os.environ.get("EDGEVIT_A72", "")).absolute()
MODELS = ("sbcformer_xs.onnx", "sbcformer_xs-int8.onnx", "sbcformer_xs.tflite", "sbcformer_xs-int8.tflite")
COUNTED = (*MODELS, "efficientvit_b0-int8.tflite", "efficientvit_b0-uint8.tflite")
BASELINE = ROOT / "tools" / "a72" / "baseline.json"
PEAK_MB = 150
"""Most memory that `edgevit run` with sbcformer_xs int8 may take."""
FIRST_ANSWER = 1_050_000_000
"""Most instructions from the start of Python to the first answer of sbcformer_xs int8 with TFLite, with Python 3.11."""
TOLERANCE = 0.015
"""How far a count of instructions may be from the committed one, as a share."""

pytestmark = pytest.mark.skipif(
    "EDGEVIT_A72" not in os.environ, reason="EDGEVIT_A72 names no emulated system; run: make test-a72"
)

# One function of one instruction: add two vectors of float32; int8 dot product; multiply-add of float16.
EXECUTE = """
import ctypes, mmap, struct, sys
page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(struct.pack("<II", int(sys.argv[1], 16), 0xD65F03C0))
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
INSTRUCTIONS = {"4e20d400": 0, "4e809400": -signal.SIGILL, "4e400c00": -signal.SIGILL}

SaveImage = Callable[[str, NDArray[np.uint8]], Path]


@pytest.fixture(scope="module", params=("3.11", "3.13"))
def python(request: pytest.FixtureRequest) -> Path:
    """Return the emulated Python."""
    command = A72 / str(request.param) / "python"
    if not command.exists():
        pytest.skip(f"{command} does not exist; run: python tools/a72/build.py {A72}")
    return command


def model(name: str) -> Path:
    path = A72 / "models" / name
    if not path.exists():
        pytest.skip(f"{path} does not exist; run: make test-a72")
    return path


def call(
    python: Path, *arguments: object, settings: Mapping[str, object] | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [str(python), *map(str, arguments)]
    # the one thread that tests/conftest.py allows its own libraries is no setting of the board's
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"PYTHONPATH": str(ROOT), **{name: str(value) for name, value in (settings or {}).items()}}
    return subprocess.run(command, env=environment, text=True, capture_output=True)


def answer(python: Path, *arguments: object) -> str:
    done = call(python, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cat(save_image: SaveImage) -> Path:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: no photographs")
    return save_image("cat.png", data.chelsea())


@pytest.mark.parametrize(("instruction", "ends_with"), INSTRUCTIONS.items())
def test_processor_refuses_what_came_after_armv8_0(python: Path, instruction: str, ends_with: int) -> None:
    assert call(python, "-c", EXECUTE, instruction).returncode == ends_with


def test_wheels_can_be_imported(python: Path) -> None:
    code = "import sys, platform, numpy, cv2, onnxruntime, ai_edge_litert.interpreter, click; "
    told = answer(python, "-c", code + "print(platform.machine(), '%d.%d' % sys.version_info[:2])")
    assert told.split() == ["aarch64", python.parent.name]


def test_board_has_no_torch_and_needs_none(python: Path, cat: Path) -> None:
    code = """
import importlib.util, sys
import edgevit
edgevit.load(sys.argv[1])(sys.argv[2])
print([name for name in ("torch", "onnx", "PIL", "torchvision") if importlib.util.find_spec(name)])
"""
    assert answer(python, "-c", code, model(MODELS[0]), cat) == "[]\n"


def test_board_is_recognized_and_its_profile_used(python: Path, cat: Path) -> None:
    done = call(python, "-m", "edgevit", "run", model(MODELS[1]), cat, "--verbose")
    assert "rpi4" in done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_selftest_passes(python: Path, name: str) -> None:
    assert "self-test passed" in answer(python, "-m", "edgevit", "selftest", model(name))


@pytest.mark.parametrize("name", MODELS)
def test_photograph_is_classified_as_on_this_machine(python: Path, name: str, cat: Path) -> None:
    there: dict[str, Any] = json.loads(answer(python, "-m", "edgevit", "run", model(name), cat, "--json"))
    with load(model(name), threads=1) as classifier:
        here = classifier(cat)
    assert there["top1"] == here.top1
    # int8 kernels of two processors round differently
    assert there["top1_conf"] == pytest.approx(here.top1_conf, abs=0.1 if "int8" in name else 0.001)


@pytest.mark.parametrize("name", [name for name in MODELS if "int8" in name])
def test_run_takes_little_memory(python: Path, name: str, cat: Path) -> None:
    told = answer(python, ROOT / "tools" / "a72" / "peak.py", "run", model(name), cat)
    assert 0 < float(told.split()[-1]) <= PEAK_MB


@pytest.mark.parametrize("name", COUNTED)
def test_instructions_are_as_many_as_before(name: str) -> None:
    """If a change is meant, count again: python tools/a72/count.py DIR/3.11 MODEL... > tools/a72/baseline.json."""
    system, path = A72 / "3.11", model(name)
    if not system.exists():
        pytest.skip(f"{system} does not exist; run: python tools/a72/build.py {A72}")
    before = json.loads(BASELINE.read_text())
    command = [sys.executable, ROOT / "tools" / "a72" / "count.py", system, path]
    now = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
    if now["versions"] != before["versions"]:
        pytest.skip(f"the baseline was counted with {before['versions']}, here are {now['versions']}: count again")
    for step, counts in before["counts"][name].items():
        counted = now["counts"][name][step]["instructions"]
        assert counted == pytest.approx(counts["instructions"], rel=TOLERANCE), step


def test_first_answer_is_not_kept_waiting() -> None:
    system, path = A72 / "3.11", model("sbcformer_xs-int8.tflite")
    if not system.exists():
        pytest.skip(f"{system} does not exist; run: python tools/a72/build.py {A72}")
    command = [sys.executable, ROOT / "tools" / "a72" / "first.py", system, path]
    told = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
    found = told["first_answer"][path.name]
    assert found["instructions"] == sum(found["parts"].values()) <= FIRST_ANSWER


def test_board_fetches_a_signed_model_without_cryptography(python: Path, tiny_model: Path, tmp_path: Path) -> None:
    if not (python.parent / "site" / "tuf").exists():
        pytest.skip(f"{python.parent} has no tuf; remove it and run: python tools/a72/build.py {A72}")
    site = MadeSite(tmp_path / "site")
    site.publish("stable/farm.onnx", tiny_model.read_bytes())
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho inactive\n")
    (tmp_path / "systemctl").chmod(0o755)
    settings = {"XDG_CONFIG_HOME": tmp_path, "XDG_RUNTIME_DIR": tmp_path, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    board = make_board(tmp_path / "board", "file:///", site.first_root)
    with serving(site.folder) as web:
        enrollment = dataclasses.replace(board.enrollment, site=web.url, user=True)
        write_enrollment(enrollment_path("edgevit", True, {"XDG_CONFIG_HOME": str(tmp_path)}), enrollment)
        done = call(python, "-m", "edgevit", "update", "--user", settings=settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("stable/farm.onnx: installed: the service edgevit is not running\n")
    assert enrollment.model.read_bytes() == tiny_model.read_bytes()
    found = "import importlib.util as u; print(u.find_spec('cryptography'), u.find_spec('tuf') is None)"
    assert answer(python, "-c", found) == "None False\n"
