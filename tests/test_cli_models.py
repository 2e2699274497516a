"""`edgevit models` lists the zoo on any machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgevit.cli import main
from edgevit.cli.models import published
from edgevit.models import list_models
from edgevit.models.registry import get_spec

ROOT = Path(__file__).parent.parent


def test_every_model_has_a_line_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert list(lines)[1:] == list_models()
    for part in ("5.59 M", "0.47 G", "224x224", "75.8 %", "github.com/xyongLu/SBCFormer", "MIT", "cifar10 (bundled"):
        assert part in lines["sbcformer_xs"]
    assert lines["sbcformer_s"].endswith("-")
    assert "imagenet_r224 r256 r288 r320 r384 (Apache-2.0)" in lines["efficientvit_l2"]
    assert "imagenet_r224 (not stated by its authors)" in lines["sbcformer_b"]


def test_one_model_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "efficientvit_b0"])
    text = capsys.readouterr().out
    for part in ("3,410,008", "100,233,216", "crop_pct 0.95", "10 classes, CIFAR-10, not ImageNet", "https://"):
        assert part in text


def test_json_has_all_models_or_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--json"])
    every = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in every] == list_models()
    with pytest.raises(SystemExit, match="0"):
        main(["models", "efficientvit_b1", "--json"])
    one = json.loads(capsys.readouterr().out)
    assert one == every[list_models().index("efficientvit_b1")]
    assert one["macs"] == 519_214_592
    assert one["weights"][2]["preprocess"]["size"] == [288, 288]


def test_unknown_model_exits_2_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["models", "sbcfromer_xs"])
    assert "did you mean sbcformer_xs" in capsys.readouterr().err


def test_table_needs_neither_torch_nor_onnx() -> None:
    blocked = "import sys; sys.modules.update(torch=None, onnx=None, PIL=None, safetensors=None, gdown=None)"
    code = f"{blocked}; from edgevit.cli import main; main(['models'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sbcformer_xs" in done.stdout


@pytest.mark.parametrize("name", list_models())
def test_documented_table_is_that_of_the_registry(name: str) -> None:
    spec = get_spec(name)
    weights = ", ".join(entry.name + (" (bundled)" if entry.bundled else "") for entry in spec.weights) or "-"
    figures = f"{spec.parameters / 1e6:.2f} M | {spec.macs / 1e9:.2f} G | {published(spec)}"
    assert f"| {name} | {figures} | {weights} |" in (ROOT / "docs" / "models.md").read_text().splitlines()
