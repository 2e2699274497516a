"""`edgevit export --target BOARD`: the board's profile decides what the user does not."""

from pathlib import Path

import pytest

from edgevit.artifact import read_manifest
from edgevit.cli import main
from edgevit.device_profiles import find_profile

RANDOM = ["export", "efficientvit_b0", "--weights", "random", "--num-classes", "4", "--imgsz", "64"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def test_target_decides_the_format_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    board = find_profile("orangepi5")
    assert board.format.preferred == "onnx"
    assert run(*RANDOM, "--target", "Orange Pi 5") == 0
    out, err = capsys.readouterr()
    assert out == "efficientvit_b0.onnx\n"
    assert board.format.why in err
    manifest = read_manifest(Path("efficientvit_b0.onnx"))
    assert manifest is not None
    assert manifest.target == "orangepi5"


def test_raspberry_pi_4_gets_tflite(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("litert_torch", reason="needs the extra tflite-export")
    assert run(*RANDOM, "--target", "rpi4") == 0
    assert capsys.readouterr().out == "efficientvit_b0.tflite\n"


def test_format_of_the_user_goes_before_the_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*RANDOM, "--target", "rpi4", "--format", "onnx") == 0
    out, err = capsys.readouterr()
    assert out == "efficientvit_b0.onnx\n"
    assert find_profile("rpi4").format.why not in err


def test_unknown_target_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*RANDOM, "--target", "rpi44") == 2
    assert "no device profile named 'rpi44'; did you mean rpi4" in capsys.readouterr().err


def test_scheme_without_int8_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*RANDOM, "--scheme", "S8S8") == 2
    assert "--scheme S8S8 names the types of --int8; give both, or none" in capsys.readouterr().err


def test_scheme_that_tflite_has_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*RANDOM, "--int8", "--scheme", "U8S8", "--target", "rpi4") == 2
    assert "--scheme U8S8 is for ONNX; TFLite's int8 is S8S8: leave it out" in capsys.readouterr().err
