"""The mean of several runs' weights."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import CheckpointError
from edgevit.models import create_model
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.trained import TrainingFacts
from edgevit.training.average import average_states, main
from edgevit.training.result import round_to_half, write_weights

NAME = "efficientvit_b0"
CLASSES = ("dark", "light")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("val", 2)):
        for name, level in zip(CLASSES, (40, 200), strict=True):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(
                    str(tmp_path / "data" / part / name / f"{i}.png"), np.full((32, 32, 3), level + i, dtype=np.uint8)
                )
    return tmp_path / "data"


def run(path: Path, seed: int, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write weights as a run of `edgevit train` does."""
    torch.manual_seed(seed)
    model = create_model(NAME, len(classes))
    facts = TrainingFacts(classes, Preprocess(size=(32, 32)), {})
    write_weights(path, round_to_half(model), facts, NAME)
    return path


def test_each_weight_is_the_mean() -> None:
    a = {"w": torch.tensor([1.0, 2.0]), "steps": torch.tensor(7)}
    b = {"w": torch.tensor([3.0, -2.0]).half(), "steps": torch.tensor(9)}
    mean = average_states([a, b, b])
    assert torch.allclose(mean["w"], torch.tensor([7 / 3, -2 / 3]))
    assert mean["w"].dtype == torch.float32
    assert int(mean["steps"]) == 7


def test_of_several_processes_one_does_it(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    file = run(tmp_path / "a.safetensors", 0)
    done = CliRunner().invoke(main, [NAME, str(file), "--data", str(data), "-o", str(tmp_path / "mean")])
    assert (done.exit_code, done.output) == (0, "")
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"v": torch.zeros(2)}])
def test_weights_of_other_models_are_refused(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"weights 1 and 2 differ in '[vw]'; expected runs of the same model"):
        average_states([{"w": torch.zeros(2)}, other])


def test_the_program_writes_the_mean_with_statistics_of_its_own(data: Path, tmp_path: Path) -> None:
    files = [run(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    out = tmp_path / "mean"
    arguments = [NAME, *map(str, files), "--data", str(data), "--imgsz", "32", "-o", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "right on 4 images that were not trained on" in result.output
    first, second, mean = (read_state_dict(path) for path in (*files, out / f"{NAME}.safetensors"))
    weight = next(key for key, value in first.items() if value.ndim == 4)
    expected = (first[weight].float() + second[weight].float()) / 2
    assert torch.allclose(mean[weight].float(), expected, rtol=1e-3, atol=1e-6)
    variance = next(key for key in first if key.endswith("running_var"))
    assert not torch.equal(mean[variance], first[variance])
    card = json.loads((out / f"{NAME}.json").read_text())
    assert card["mean_of"] == [str(file) for file in files]
    assert "recipe" not in card


def test_a_run_with_other_classes_is_one_clear_line(data: Path, tmp_path: Path) -> None:
    files = [run(tmp_path / "2.safetensors", 1), run(tmp_path / "3.safetensors", 2, ("a", "b", "c"))]
    result = CliRunner().invoke(main, [NAME, *map(str, files), "--data", str(data), "-o", str(tmp_path / "mean")])
    assert result.exit_code == 1
    assert "weights 1 and 2 differ in" in result.output
    assert not (tmp_path / "mean").exists()
