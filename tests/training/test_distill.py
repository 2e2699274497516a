"""A model that learns from a teacher, too: the loss, what it is good for, and what a run makes of it."""

import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.cli import cli
from edgevit.errors import CheckpointError, DataError, OptionError
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.training import Watcher, train
from edgevit.training.batches import UNLABELLED, TaughtLabel
from edgevit.training.distill import Distillation, TaughtModel, teach
from edgevit.training.folders import Samples
from edgevit.training.loop import train as run
from edgevit.training.objective import CrossEntropy, cross_entropy, normalize
from edgevit.training.recipe import Recipe
from edgevit.training.teacher import ANSWERS, KEY
from tests.made_photos import write_photos
from tests.training.made_teacher import write_teacher

NAME = "efficientvit_b0"
PLAIN = Preprocess(size=(32, 32))
TOLD: dict[str, Any] = {"teacher_mean": (0.0, 0.0, 0.0), "teacher_std": (1.0, 1.0, 1.0)}


def test_the_loss_is_that_of_the_labels_and_the_softened_divergence() -> None:
    # the teacher is sure by 3 to 1, the model's guess is even. At temperature 2 the odds are the root of 3 to 1:
    # p = 0.633975, and the divergence from one half is log 2 + p log p + (1 - p) log (1 - p) = 0.036340
    told = np.log(np.array([0.75, 0.25])).astype(np.float16)
    answers = (torch.zeros(1, 4), torch.zeros(1, 2))
    for weight, expected in ((0.0, np.log(4)), (1.0, np.log(4) + 4 * 0.036340), (0.5, np.log(4) + 2 * 0.036340)):
        loss = Distillation(CrossEntropy(0.0), weight, temperature=2.0)
        assert float(loss(answers, [TaughtLabel(3, told)], (32, 32))) == pytest.approx(expected, abs=3e-4)


def test_the_second_layer_is_there_in_training_only_and_sees_what_the_first_sees() -> None:
    student = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 2))
    model = TaughtModel(student, "3", 5)
    x = torch.randn(4, 3, 2, 2)
    logits, guessed = model(x)
    assert torch.equal(guessed, model.guess(student[:3](x)))
    assert torch.equal(logits, student(x))
    assert torch.equal(model.eval()(x), logits)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_teacher_that_knows_better_outvotes_wrong_labels(seed: int, tmp_path: Path) -> None:
    """What is red is to be told, and a quarter of the labels is wrong; steps, start and order are the same."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (24, 3), np.uint8)
    paths = tuple(tmp_path / f"{i}.png" for i in range(24))
    for path, color in zip(paths, colors, strict=True):
        cv2.imwrite(str(path), np.full((32, 32, 3), color[::-1], np.uint8))
    red = colors[:, 0] > 127
    samples = Samples(paths, tuple(int(is_red ^ (i % 4 == 0)) for i, is_red in enumerate(red)), ("dark", "red"))
    logit = 20 * (colors[:, :1] / 255 - 0.5)
    answers = -np.logaddexp(0, np.concatenate([logit, -logit], 1)).astype(np.float16)
    others = rng.integers(0, 256, (500, 1, 1, 3)).astype(np.uint8)
    inputs = normalize(np.broadcast_to(others, (500, 32, 32, 3)).copy(), PLAIN)
    truth = torch.from_numpy(others[:, 0, 0, 0] > 127)
    recipe = Recipe(
        sizes=((32, 100),),
        batch=24,
        learning_rate=0.03,
        weight_decay=0,
        warmup_epochs=0,
        label_smoothing=0,
        augmentation="light",
        ema_decay=0.5,
        bfloat16=False,
        teacher_weight=1.0,
        temperature=2.0,
    )
    right = []
    for taught in (False, True):
        torch.manual_seed(0)
        layers = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 1), nn.Linear(1, 2))
        found: tuple[Any, Any, Any] = (nn.Sequential(*layers), samples, cross_entropy(recipe, samples.counts(), PLAIN))
        if taught:
            found = teach(found[0], "5", samples, found[2], answers, recipe)
        outcome = run(*found, lambda model, size: {}, recipe, tmp_path / str(taught))
        with torch.inference_mode():
            right.append(float((outcome.averaged(inputs).argmax(1).bool() == truth).float().mean()))
    alone, with_teacher = right
    assert with_teacher > alone + 0.1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 12 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data"), 12)


def learn(data: Path, out: Path, file: Path, **options: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    watcher = Watcher(said.append, should_stop=options.pop("should_stop", lambda: False))
    given = {"sizes": "32*2", "batch": 8, "bn_batches": 1, "threads": 1, "teacher": file, **TOLD, **options}
    return train(NAME, data, out, watcher=watcher, **given), said


def test_a_run_with_a_teacher_stops_and_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_teacher(tmp_path / "colours.onnx")
    whole, said = learn(data, tmp_path / "whole", file)
    assert whole.finished
    count = int(next(line for line in said if line.startswith("asking")).split()[-2])
    assert f"asking colours.onnx, 8 classes, about {count} images" in said
    assert any("--augmentation moderate" in line for line in said)
    card = json.loads(whole.weights.with_suffix(".json").read_text())
    assert (card["teacher"]["file"], card["teacher"]["classes"]) == ("colours.onnx", 8)
    assert (card["recipe"]["teacher_weight"], card["recipe"]["temperature"]) == (1.0, 2.0)
    assert not any("guess" in key or "student" in key for key in read_state_dict(whole.weights))
    assert read_state_dict(whole.weights)["head.op_list.3.linear.weight"].shape[0] == 2

    # stopped after the teacher's first answers, then after three steps
    monkeypatch.setattr("edgevit.training.teacher.CHUNK", 8)
    part, _ = learn(data, tmp_path / "parts", file, should_stop=lambda: True)
    assert (part.finished, part.state.is_file()) == (False, False)
    asked = iter(range(100))
    third_step = -(-(count - 8) // 8) + 2
    part, said = learn(data, tmp_path / "parts", file, should_stop=lambda: next(asked) == third_step)
    assert (part.finished, part.state.is_file()) == (False, True)
    assert f"the answers of colours.onnx, 8 classes: 8 of {count} images are answered already" in said
    part, _ = learn(data, tmp_path / "parts", file, resume=True)
    assert part.weights.read_bytes() == whole.weights.read_bytes()


def test_a_run_goes_on_only_with_its_own_teacher(data: Path, tmp_path: Path) -> None:
    file = write_teacher(tmp_path / "colours.onnx")
    learn(data, tmp_path / "run", file, should_stop=iter([False, True]).__next__)
    other = write_teacher(tmp_path / "other.onnx", sharpness=3)
    with pytest.raises(CheckpointError, match=r"other options \(teacher was [0-9a-f]{16}, now [0-9a-f]{16}\)"):
        learn(data, tmp_path / "run", other, resume=True)
    with pytest.raises(CheckpointError, match=r"other options \(temperature was 2.0, now 4.0\)"):
        learn(data, tmp_path / "run", file, resume=True, temperature=4.0)
    assert KEY in {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"freeze": True}, "freeze= fits the last layer alone, to the labels; leave out teacher="),
        ({"model": "efficientvit_seg_b0_cityscapes"}, "teacher= is for models that classify"),
        ({"model": "efficientvit_b0_det"}, "teacher= is for models that classify"),
        ({"teacher": None}, "teacher_mean= is about a teacher, and there is none"),
        ({"teacher_weight": -1}, "teacher_weight= is -1, expected a number, 0 or more"),
        ({"temperature": 0}, "temperature=0 is not possible; expected more than 0"),
        ({"teacher": 3}, "teacher= is 3, expected a path"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    file = write_teacher(tmp_path / "colours.onnx")
    with pytest.raises(OptionError) as told:
        train(**{"model": NAME, "data": tmp_path, "teacher": file, **TOLD, **given})
    assert message in str(told.value)


def test_what_has_no_class_is_learnt_from_the_teacher_alone() -> None:
    """Odds as above: the loss of the labels is the mean over the one picture that has one, log 4."""
    told = np.log(np.array([0.75, 0.25])).astype(np.float16)
    answers = (torch.zeros(3, 4, requires_grad=True), torch.zeros(3, 2))
    labels = [TaughtLabel(label, told) for label in (UNLABELLED, 3, UNLABELLED)]
    loss = Distillation(CrossEntropy(0.1), 1.0, temperature=2.0)(answers, labels, (32, 32))
    assert loss.item() == pytest.approx(np.log(4) + 4 * 0.036340, abs=3e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert answers[0].grad is not None
    assert answers[0].grad.abs().sum(1).tolist() == [0, pytest.approx(1.35), 0]
    nothing = Distillation(CrossEntropy(0.1), 1.0, temperature=2.0)(answers, [labels[0]] * 3, (32, 32))
    assert nothing.item() == pytest.approx(4 * 0.036340, abs=3e-4), "a batch without any label"


def test_pictures_without_a_class_are_read_asked_about_and_counted(data: Path, tmp_path: Path) -> None:
    frames = write_photos(tmp_path / "frames", 5, ("green",))
    (frames / "green" / "broken.png").write_bytes(b"no picture")
    (frames / "notes.txt").write_text("four of them at night")
    file = write_teacher(tmp_path / "colours.onnx")
    result, said = learn(data, tmp_path / "run", file, unlabelled=frames)
    labelled = json.loads((tmp_path / "run" / f"{NAME}.json").read_text())["images"]["train"]
    count = sum(labelled.values())
    assert f"2 classes, {count + 5} images to train, 5 of them without a class, {24 - count} held out" in said
    assert f"{frames}: 1 file left out: 1 .txt" in said
    assert any("broken.png" in line and line.startswith("skipped: ") for line in said)
    assert (tmp_path / "run" / ANSWERS).stat().st_size == 2 * 8 * (count + 5)
    card = json.loads((tmp_path / "run" / f"{NAME}.json").read_text())
    assert (card["classes"], card["unlabelled"]) == (["blue", "red"], 5)
    assert result.finished


def test_a_run_goes_on_only_with_its_own_pictures_without_a_class(data: Path, tmp_path: Path) -> None:
    frames = write_photos(tmp_path / "frames", 5, ("green",))
    file = write_teacher(tmp_path / "colours.onnx")
    learn(data, tmp_path / "run", file, unlabelled=frames, should_stop=iter([False, True]).__next__)
    with pytest.raises(CheckpointError, match="other images"):
        learn(data, tmp_path / "run", file, resume=True)
    result, _ = learn(data, tmp_path / "run", file, unlabelled=frames, resume=True)
    assert result.finished


def test_the_command_for_more_epochs_says_the_same_lessons(data: Path, tmp_path: Path) -> None:
    frames = write_photos(tmp_path / "frames", 5, ("green",))
    file = write_teacher(tmp_path / "colours.onnx")
    given: dict[str, Any] = {"unlabelled": frames, "temperature": 3.0}
    learn(data, tmp_path / "run", file, should_stop=iter([False, True]).__next__, **given)
    with pytest.raises(CheckpointError, match="was planned for 2 epochs") as told:
        learn(data, tmp_path / "run", file, resume=True, **given, sizes="32*5")
    words = shlex.split(str(told.value).split("`")[1])
    done = CliRunner().invoke(cli, [*words[1:], "--batch", "8", "--bn-batches", "1", "--threads", "1"])
    assert done.exit_code == 0, done.output
    card, recipe = json.loads((tmp_path / "run-longer" / f"{NAME}.json").read_text()), {"temperature": 3.0}
    assert (card["teacher"]["file"], card["unlabelled"]) == ("colours.onnx", 5)
    assert card["recipe"] | recipe == card["recipe"]
    assert (tmp_path / "run-longer" / KEY).read_bytes() == (tmp_path / "run" / KEY).read_bytes(), "as it prepared them"


def test_pictures_without_a_class_are_refused_where_they_judge_or_are_not_there(data: Path, tmp_path: Path) -> None:
    file = write_teacher(tmp_path / "colours.onnx")
    with pytest.raises(DataError, match=r"unlabelled=? .*holds .*\.png, which is held out to judge by"):
        learn(data, tmp_path / "run", file, unlabelled=data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in folder"):
        learn(data, tmp_path / "run", file, unlabelled=tmp_path / "empty")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        learn(data, tmp_path / "run", file, unlabelled=tmp_path / "nowhere")
    with pytest.raises(OptionError, match="unlabelled= is about a teacher, and there is none"):
        train(NAME, data, tmp_path / "run", unlabelled=data)
    assert not (tmp_path / "run").exists()
