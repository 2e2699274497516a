"""`edgevit export`: what it prints, what a target decides, and one clear line with the right exit code for mistakes."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgevit.artifact.manifest import Preprocess, read_manifest
from edgevit.cli.target_text import describe_target
from edgevit.device_profiles import find_profile
from edgevit.export import pipeline
from edgevit.export.quantization.search import Outcome, Trial
from edgevit.export.result import ExportResult
from tests.conftest import TINY

Run = Callable[..., tuple[int, str, str]]

RANDOM = ["export", "efficientvit_b0", "--weights", "random", "--num-classes", "4", "--imgsz", "64"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


def test_export_prints_the_path_on_stdout_and_the_rest_on_stderr(run: Run) -> None:
    code, out, err = run(*RANDOM)
    assert (code, out) == (0, "efficientvit_b0.onnx\n")
    assert "UNTRAINED" in err
    assert "edgevit run efficientvit_b0.onnx" in err
    assert "for a Raspberry Pi 4 Model B: --target rpi4 writes tflite; edgevit benchmark" in err
    assert "labels       none; answers are like 'class 3'; give edgevit export --labels FILE\n" in err
    manifest = read_manifest(Path("efficientvit_b0.onnx"))
    assert manifest is not None
    assert manifest.model == "efficientvit_b0"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export", "sbcformer_sx"], 2, "no model named 'sbcformer_sx'; did you mean sbcformer_"),
        (["export", "efficientvit_b1", "--weights", "nowhere.pt"], 1, "nowhere.pt does not exist"),
        ([*RANDOM, "--imgsz", "100"], 2, "each side must be a multiple of 32; try --imgsz 96 or 128"),
        ([*RANDOM, "--int8", "--half"], 2, "export twice, with one of them each"),
        ([*RANDOM, "--int8"], 2, "give --data FOLDER"),
        ([*RANDOM, "--int8", "--data", "nowhere"], 1, "nowhere is not a folder"),
        ([*RANDOM, "--opset", "12"], 2, "--opset 12 is not supported; choose one of 17"),
        ([*RANDOM, "--opset", "twenty"], 2, "'twenty' is not a valid integer"),
        ([*RANDOM, "--max-drop", "1"], 2, "--max-drop is a budget for --int8"),
        ([*RANDOM, "--int8", "--calibration", "minmax", "--calibration", "percentile"], 2, "exclude each other"),
        ([*RANDOM, "--calibration", "minmax"], 2, "about the calibration of --int8; give both, or none"),
        ([*RANDOM, "-o", "nowhere/m.onnx"], 1, "the folder nowhere does not exist"),
        ([*RANDOM, "-o", "m.bin"], 2, "does not end in .onnx"),
        ([*RANDOM, "--labels", "nowhere.txt"], 2, "labels file nowhere.txt does not exist"),
        ([*RANDOM, "imgsz=224"], 2, "did you mean --imgsz 224?"),
        (["exprot"], 2, "no command 'exprot'; did you mean export?"),
    ],
)
def test_each_mistake_gets_one_line_and_its_exit_code(arguments: list[str], code: int, message: str, run: Run) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    (line,) = err.splitlines()
    assert line.startswith("edgevit: ")
    assert message in line
    assert not list(Path.cwd().glob("*.onnx"))


def test_output_below_a_file_cannot_be_written(run: Run) -> None:
    Path("file").write_text("")
    code, _, err = run(*RANDOM, "-o", "file/m.onnx")
    assert code == 1
    assert "edgevit: -o file/m.onnx" in err


def test_own_weights_without_images_are_refused(run: Run) -> None:
    save_file({"head.op_list.3.linear.weight": np.zeros((4, 1280), np.float32)}, "own.safetensors")
    code, _, err = run("export", "efficientvit_b0", "--weights", "own.safetensors", "--int8")
    assert code in (1, 2)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("package", ["torch", "onnx", "onnxsim", "jinja2"])
def test_missing_extra_names_the_pip_command(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from edgevit.cli import main; main({RANDOM!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"edgevit: {package} is not installed, and edgevit export needs it; run: pip install 'edgevit[export]'\n"
    )


def test_out_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def fail(*args: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "run_torch", fail)
    code, _, err = run(*RANDOM)
    assert code == 1
    assert err.splitlines()[-1].startswith("edgevit: out of memory")


def test_budget_that_cannot_be_met_exits_3_with_the_best_found(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    real = pipeline.export

    def export(*args: object, **options: object) -> ExportResult:
        report = real(*args, **options)  # type: ignore[arg-type]
        trial = Trial((), 0.9, 1.5)
        outcome = Outcome(trial, False, (trial,), {}, "top-1 accuracy", 100)
        return dataclasses.replace(report, outcome=outcome)

    monkeypatch.setattr(pipeline, "export", export)
    code, _, err = run(*RANDOM)
    assert code == 3
    assert "loses 1.50 points" in err
    assert Path("efficientvit_b0.onnx").is_file()


def test_target_decides_the_format_and_says_why(run: Run) -> None:
    board = find_profile("orangepi5")
    assert board.format.preferred == "onnx"
    code, out, err = run(*RANDOM, "--target", "Orange Pi 5")
    assert (code, out) == (0, "efficientvit_b0.onnx\n")
    assert board.format.why in err
    manifest = read_manifest(Path("efficientvit_b0.onnx"))
    assert manifest is not None
    assert manifest.target == "orangepi5"


def test_raspberry_pi_4_gets_tflite(run: Run) -> None:
    pytest.importorskip("litert_torch", reason="needs the extra tflite-export")
    code, out, err = run(*RANDOM, "--target", "rpi4")
    assert (code, out) == (0, "efficientvit_b0.tflite\n")
    assert find_profile("rpi4").format.why in err


def test_format_of_the_user_goes_before_the_targets(run: Run) -> None:
    code, out, err = run(*RANDOM, "--target", "rpi4", "--format", "onnx")
    assert (code, out) == (0, "efficientvit_b0.onnx\n")
    assert find_profile("rpi4").format.why not in err


def test_unknown_target_names_the_nearest(run: Run) -> None:
    code, _, err = run(*RANDOM, "--target", "rpi44")
    assert code == 2
    assert "no device profile named 'rpi44'; did you mean rpi4" in err


def test_scheme_without_int8_is_refused(run: Run) -> None:
    code, _, err = run(*RANDOM, "--scheme", "S8S8")
    assert code == 2
    assert "--scheme 'S8S8' names the types of --int8; give both, or none" in err


def test_scheme_that_tflite_has_not_is_refused(run: Run) -> None:
    code, _, err = run(*RANDOM, "--int8", "--scheme", "U8S8", "--target", "rpi4")
    assert code == 2
    assert "--scheme 'U8S8' is for ONNX; TFLite's int8 is S8S8: leave it out" in err


def test_export_without_a_target_tells_what_the_most_common_board_would_gain() -> None:
    """The figures are those of `edgevit models sbcformer_xs`."""
    size = Preprocess(size=(224, 224))
    manifest = dataclasses.replace(TINY, model="sbcformer_xs", precision="int8", preprocess=size)
    told = "on a Raspberry Pi 4 Model B TFLite is estimated at 25 ms against 54 (3 threads at 1.8 GHz): "
    assert describe_target(manifest) == told + "--target rpi4"
