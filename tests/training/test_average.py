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
from edgevit.models.weights.trained import TrainingFacts, read_training_facts
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


def run(
    path: Path,
    seed: int,
    classes: tuple[str, ...] = CLASSES,
    preprocess: Preprocess = Preprocess(size=(32, 32)),  # noqa: B008, frozen
) -> Path:
    """Write weights as a run of `edgevit train` does."""
    torch.manual_seed(seed)
    model = create_model(NAME, len(classes))
    facts = TrainingFacts(classes, preprocess, {})
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
    arguments = [NAME, *map(str, files), "--data", str(data), "-o", str(out)]
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
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert f"{NAME}.safetensors is there already; delete it, or give another folder with --out" in again.output


def test_size_and_crop_are_those_of_the_runs(data: Path, tmp_path: Path) -> None:
    images = Preprocess(size=(32, 64), crop_pct=0.9)
    files = [run(tmp_path / f"{seed}.safetensors", seed, preprocess=images) for seed in (1, 2)]
    out = tmp_path / "mean"
    assert CliRunner().invoke(main, [NAME, *map(str, files), "--data", str(data), "-o", str(out)]).exit_code == 0
    facts = read_training_facts(out / f"{NAME}.safetensors")
    assert facts is not None
    assert (facts.labels, facts.preprocess) == (CLASSES, images)


def test_a_run_with_other_classes_is_one_clear_line(data: Path, tmp_path: Path) -> None:
    files = [run(tmp_path / "2.safetensors", 1), run(tmp_path / "3.safetensors", 2, ("a", "b", "c"))]
    result = CliRunner().invoke(main, [NAME, *map(str, files), "--data", str(data), "-o", str(tmp_path / "mean")])
    assert result.exit_code == 1
    assert "2.safetensors is of dark, light, " in result.output
    assert "3.safetensors of a, b, c; expected runs with the same classes" in result.output
    assert not (tmp_path / "mean").exists()


def test_other_images_than_the_runs_are_refused(data: Path, tmp_path: Path) -> None:
    first, other = run(tmp_path / "1.safetensors", 1), tmp_path / "2.safetensors"
    common, out = ["--data", str(data), "-o", str(tmp_path / "mean")], CliRunner()
    run(other, 2, preprocess=Preprocess(size=(64, 64)))
    found = out.invoke(main, [NAME, str(first), str(other), *common]).output
    assert "take their images differently (size was (32, 32), now (64, 64)); expected runs of one size and" in found
    found = out.invoke(main, [NAME, str(first), "--imgsz", "64", *common]).output
    assert "--imgsz is 64, and the runs are for 32x32; leave it out" in found
    run(other, 2, ("hen", "fox"))
    found = out.invoke(main, [NAME, str(other), *common]).output
    assert "the weights are of hen, fox, " in found
    assert "holds dark, light; give the images that the runs learnt from" in found
    assert not (tmp_path / "mean").exists()


def test_files_that_say_nothing_of_their_images_are_averaged_as_told(data: Path, tmp_path: Path) -> None:
    torch.save(create_model(NAME, 2).state_dict(), tmp_path / "plain.pt")
    arguments = [NAME, str(tmp_path / "plain.pt"), "--imgsz", "32", "--data", str(data), "-o", str(tmp_path / "mean")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    facts = read_training_facts(tmp_path / "mean" / f"{NAME}.safetensors")
    assert facts is not None
    assert facts.preprocess.size == (32, 32)
