"""`edgevit info` of a file of weights: what it and the card beside it say, without PyTorch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgevit.cli import main
from tests.places import ROOT

BUNDLED = ROOT / "export" / "weights" / "sbcformer_xs-cifar10.safetensors"


def info(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        main(["info", *map(str, arguments)])
        code = 0
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_file_and_its_card_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = info(capsys, BUNDLED)
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert lines["model"] == "sbcformer_xs"
    assert lines["labels"].startswith("10: airplane, automobile, bird, ")
    assert lines["accuracy"] == "top1 84.9%, macro 85.0% of 2051 held out"
    assert "trained on    47,949 of 10 classes, as the card beside it says" in out
    assert lines["licence"].startswith("not stated in the file")


def test_the_document_is_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lonely = tmp_path / "w.safetensors"
    shutil.copy(BUNDLED, lonely)
    lonely.with_suffix(".json").write_text('{"started_from": "random weights", "teacher": {"file": "t", "classes": 3}}')
    found = json.loads(info(capsys, lonely, "--json")[1])
    assert (found["model"], len(found["labels"]), found["input_size"]) == ("sbcformer_xs", 10, [224, 224])
    assert (found["started_from"], found["teacher"]["classes"], found["images"]) == ("random weights", 3, None)
    out = info(capsys, lonely)[1]
    assert "teacher       t, 3 classes" in out
    assert "not said: no card lies beside the file" in out


def test_pictures_without_a_class_are_told_apart(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copy(BUNDLED, tmp_path / "w.safetensors")
    card = {"images": {"train": {"cow": 200, "pig": 1000}}, "unlabelled": 5000}
    (tmp_path / "w.json").write_text(json.dumps(card))
    out = info(capsys, tmp_path / "w.safetensors")[1]
    assert "trained on    1,200 of 2 classes and 5,000 without a class, as the card beside it says" in out
    assert json.loads(info(capsys, tmp_path / "w.safetensors", "--json")[1])["unlabelled"] == 5000


def test_weights_of_other_tools_say_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float32)}, tmp_path / "w.safetensors")
    code, out, _ = info(capsys, tmp_path / "w.safetensors")
    assert code == 0
    assert "17 numbers" in out
    assert [line.split(maxsplit=1)[1] for line in out.splitlines()[1:5]] == ["not said"] * 4


@pytest.mark.parametrize("content", [None, b"", b"junk" * 20])
def test_a_damaged_or_missing_file_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    code, _, err = info(capsys, path)
    assert code == 1
    assert err.startswith(f"edgevit: {path} is missing or damaged (")
    assert len(err.splitlines()) == 1


def test_a_damaged_card_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copy(BUNDLED, tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text("{")
    code, _, err = info(capsys, tmp_path / "w.safetensors")
    assert code == 1
    assert f"{tmp_path / 'w.json'} is no JSON" in err


def test_no_torch_is_needed() -> None:
    absent = "import sys; sys.modules['torch'] = None; "
    code = f"{absent}from edgevit.cli import main; main(['info', {str(BUNDLED)!r}])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, env=environment, check=True)
    assert "airplane" in done.stdout


def test_models_tell_the_labels_and_licence_of_weights(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "sbcformer_xs"])
    out = capsys.readouterr().out
    assert "    labels 10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck" in out
    assert "    licence Apache-2.0; source edgevit" in out
