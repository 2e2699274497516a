"""What the Tab key offers, asked as a shell asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from edgevit.cli import COMMANDS, cli
from edgevit.models import list_models
from tests.places import ROOT


def offered(*words: str, kinds: bool = False) -> list[str]:
    """Return what is offered for the last of the words behind `edgevit`."""
    items = ShellComplete(cli, {}, "edgevit", "_EDGEVIT_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.type if kinds else item.value for item in items]


def test_commands_and_options_are_offered() -> None:
    assert offered("ex") == ["export"]
    assert offered("export", "--cal") == ["--calibration", "--calibration-images"]


@pytest.mark.parametrize("command", [("export",), ("train",), ("models",), ("validate", "m.pt", "--arch")])
def test_names_of_models_are_offered(command: tuple[str, ...]) -> None:
    assert offered(*command, "sbcformer_x") == ["sbcformer_xs", "sbcformer_xs_det", "sbcformer_xs_retinanet"]
    assert offered(*command, "") == list_models()


def test_weights_are_those_of_the_model() -> None:
    assert offered("export", "efficientvit_b1", "--weights", "") == [
        "imagenet_r224",
        "imagenet_r256",
        "imagenet_r288",
        "random",
    ]
    assert offered("train", "sbcformer_xs", "--init", "c") == ["cifar10"]
    assert offered("train", "efficientvit_b0_det", "--init", "") == [
        "aquarium",
        "cifar10",
        "pretrained",
        "imagenet_r224",
        "random",
    ]
    assert offered("export", "efficientvit_b0_det", "--weights", "") == ["aquarium", "random"]


def test_weights_may_be_a_file_too() -> None:
    assert offered("export", "efficientvit_b1", "--weights", "runs/", kinds=True) == ["file"]
    assert offered("export", "unknown_model", "--weights", "x", kinds=True) == ["file"]


@pytest.mark.parametrize(
    "command", [("export", "sbcformer_xs", "--target"), ("benchmark", "--estimate"), ("profiles",)]
)
def test_boards_are_offered(command: tuple[str, ...]) -> None:
    assert offered(*command, "rpi4") == ["rpi4"]
    assert {"rpi3bplus", "rpi5"} <= set(offered(*command, "rpi"))


@pytest.mark.parametrize("command", ["run", "validate", "info", "selftest", "benchmark", "doctor"])
def test_files_of_models_are_offered(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "farm").mkdir()
    for name in ("b.tflite", "a.onnx", "cat.jpg", "farm/c.onnx", "farm/my model.onnx"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert offered(command, "") == ["a.onnx", "b.tflite"]
    assert offered(command, "farm/") == ["farm/c.onnx"]
    assert offered(command, f"{tmp_path}/a") == [f"{tmp_path}/a.onnx"]


def test_without_a_model_the_shell_offers_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "farm").mkdir()
    monkeypatch.chdir(tmp_path)
    for words in (("run", "fa"), ("run", "none/x"), ("run", "m.onnx", "")):
        assert offered(*words, kinds=True) == ["file"]


def test_an_unknown_command_is_no_error_while_one_types() -> None:
    assert offered("exprot", "") == offered("predict", "") == list(COMMANDS)


def test_bash_is_answered_without_torch_and_numpy() -> None:
    code = (
        "import sys, json, atexit; from edgevit.cli import main; "
        "atexit.register(lambda: print(json.dumps(sorted({'torch', 'numpy', 'cv2'} & set(sys.modules))))); main()"
    )
    asked = {"_EDGEVIT_COMPLETE": "bash_complete", "COMP_WORDS": "edgevit export sbcformer_x", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | asked, capture_output=True, text=True, check=False
    )
    *items, loaded = done.stdout.splitlines()
    assert items == ["plain,sbcformer_xs", "plain,sbcformer_xs_det", "plain,sbcformer_xs_retinanet"]
    assert json.loads(loaded) == []
    assert done.stderr == ""
