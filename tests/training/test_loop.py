"""The loop: what it learns, that it repeats itself, and that a stop does not change the result."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import CheckpointError, DataError
from edgevit.training.folders import Samples
from edgevit.training.loop import Outcome
from edgevit.training.loop import train as run
from edgevit.training.objective import cross_entropy, normalize
from edgevit.training.recipe import Recipe
from edgevit.training.statistics import reestimate_batchnorm

PLAIN = Preprocess(size=(64, 64))
RECIPE = Recipe(sizes=((32, 4), (64, 2)), batch=4, learning_rate=0.01, warmup_epochs=0, bfloat16=False)


def make_model(drop: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(drop),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Make sixteen noisy pictures, eight of them reddish, eight bluish."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(16):
        paths.append(tmp_path / f"{i}.png")
        color = (40, 60, 200) if i < 8 else (200, 60, 40)
        cv2.imwrite(str(paths[-1]), rng.normal(color, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8))
    return Samples(tuple(paths), (0,) * 8 + (1,) * 8, ("red", "blue"))


def train(
    model: nn.Module,
    samples: Samples,
    validate: Callable[..., dict[str, float]],
    recipe: Recipe,
    out: Path,
    **more: Any,
) -> Outcome:
    return run(model, samples, cross_entropy(recipe, samples.counts(), PLAIN), validate, recipe, out, **more)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def no_validation(model: nn.Module, size: tuple[int, int]) -> dict[str, float]:
    return {}


def stop_after(steps: int) -> Callable[[], bool]:
    count = iter(range(1, 1000))
    return lambda: next(count) >= steps


def test_two_colors_are_learnt(samples: Samples, tmp_path: Path) -> None:
    outcome = train(make_model(), samples, no_validation, RECIPE, tmp_path / "run")
    pixels = np.stack([np.full((64, 64, 3), color, np.uint8) for color in ((200, 60, 40), (40, 60, 200))])
    with torch.inference_mode():
        assert outcome.averaged(normalize(pixels, PLAIN)).argmax(dim=1).tolist() == [0, 1]
    assert outcome.finished
    assert outcome.step == RECIPE.total_steps(16) == 24


def test_the_same_seed_gives_the_same_weights(samples: Samples, tmp_path: Path) -> None:
    runs = [train(make_model(0.5), samples, no_validation, RECIPE, tmp_path / name) for name in "ab"]
    assert_equal(weights(runs[0].averaged), weights(runs[1].averaged))
    other = Recipe(**{**RECIPE.__dict__, "seed": 1})
    assert not torch.equal(
        weights(train(make_model(0.5), samples, no_validation, other, tmp_path / "c").averaged)["6.weight"],
        weights(runs[0].averaged)["6.weight"],
    )


@pytest.mark.parametrize("step", [1, 7, 16, 23])
def test_a_resumed_run_equals_an_uninterrupted_one(samples: Samples, tmp_path: Path, step: int) -> None:
    whole = train(make_model(0.5), samples, no_validation, RECIPE, tmp_path / "whole")
    out = tmp_path / "parts"
    part = train(make_model(0.5), samples, no_validation, RECIPE, out, should_stop=stop_after(step))
    assert (part.finished, part.step) == (False, step)
    resumed = train(make_model(0.5), samples, no_validation, RECIPE, out, resume=True)
    assert resumed.finished
    assert_equal(weights(whole.averaged), weights(resumed.averaged))


def test_the_log_has_one_json_line_for_each_epoch(samples: Samples, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    out = tmp_path / "run"
    train(make_model(), samples, lambda model, size: {"top1": 0.5}, RECIPE, out, report=records.append)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert [line["size"] for line in lines] == [32, 32, 32, 32, 64, 64]
    assert all(line["top1"] == 0.5 and line["of"] == 24 for line in lines)
    assert [record["step"] for record in records] == list(range(1, 25))


def test_an_epoch_whose_checkpoint_a_kill_prevented_is_logged_once(samples: Samples, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(make_model(), samples, no_validation, RECIPE, out, should_stop=stop_after(8))
    state, log = (out / "last.pt").read_bytes(), out / "log.jsonl"
    train(make_model(), samples, no_validation, RECIPE, out, resume=True, should_stop=stop_after(5))
    # as if killed: the line of step 12 is there, its checkpoint is not, and the next line is cut
    (out / "last.pt").write_bytes(state)
    with log.open("a") as file:
        file.write('{"step": 1')
    train(make_model(), samples, no_validation, RECIPE, out, resume=True)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [4, 8, 12, 16, 20, 24]


def test_a_run_resumes_only_with_its_own_options_and_images(samples: Samples, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(CheckpointError, match="last.pt does not exist; run without resume="):
        train(make_model(), samples, no_validation, RECIPE, out, resume=True)
    train(make_model(), samples, no_validation, RECIPE, out, should_stop=stop_after(1))
    other = Recipe(**{**RECIPE.__dict__, "learning_rate": 0.5})
    with pytest.raises(CheckpointError, match=r"other options \(learning_rate was 0.01, now 0.5\); repeat those"):
        train(make_model(), samples, no_validation, other, out, resume=True)
    with pytest.raises(CheckpointError, match="other images"):
        train(make_model(), samples.subset(range(1, 16)), no_validation, RECIPE, out, resume=True)
    with pytest.raises(CheckpointError, match="of another model"):
        train(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), samples, no_validation, RECIPE, out, resume=True)
    (out / "last.pt").write_bytes((out / "last.pt").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="is damaged or not of a training run"):
        train(make_model(), samples, no_validation, RECIPE, out, resume=True)


def test_a_diverging_run_says_what_to_change(samples: Samples, tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="loss became nan at step 0; lower learning_rate="):
        train(model, samples, no_validation, RECIPE, tmp_path / "run")


def test_balance_gives_a_rare_class_the_same_say(samples: Samples, tmp_path: Path) -> None:
    """With one constant logit pair to learn, the best answer is each class's share of the loss."""
    rare = samples.subset([0, 1, *range(8, 14)])  # two red, six blue
    shares = []
    for balance in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
        torch.nn.init.zeros_(model[2].weight).requires_grad_(False)  # type: ignore[arg-type]
        options = {"sizes": ((32, 100),), "learning_rate": 0.05, "weight_decay": 0, "label_smoothing": 0.0}
        recipe = Recipe(**{**RECIPE.__dict__, **options, "batch": 8, "balance": balance})
        averaged = train(model, rare, no_validation, recipe, tmp_path / str(balance)).averaged
        shares.append(float(averaged[2].bias.softmax(0)[0]))  # type: ignore[index]
    assert shares == pytest.approx([0.25, 0.5], abs=0.02)


def test_reestimated_statistics_are_those_of_the_batches() -> None:
    norm = nn.BatchNorm2d(2)
    model = nn.Sequential(norm, nn.Dropout(0.9))
    x = torch.randn(3, 8, 2, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 7
    assert reestimate_batchnorm(model, x) == 3
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, x.mean(dim=(0, 1, 3, 4)))
    variances = torch.stack([batch.var(dim=(0, 2, 3)) for batch in x])
    torch.testing.assert_close(norm.running_var, variances.mean(dim=0))
    assert norm.momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_the_weights_of_the_best_validation_are_kept_if_a_figure_is_named(samples: Samples, tmp_path: Path) -> None:
    recipe = Recipe(**{**RECIPE.__dict__, "sizes": ((32, 4),)})
    objective = replace(cross_entropy(recipe, samples.counts(), PLAIN), best="ap")
    seen: list[dict[str, torch.Tensor]] = []

    def validate(model: nn.Module, size: tuple[int, int]) -> dict[str, float | None]:
        seen.append(weights(model))
        return {"ap": (None, 0.5, 0.5, 0.4)[len(seen) - 1]}

    outcome = run(make_model(), samples, objective, validate, recipe, tmp_path / "run")
    assert_equal(weights(outcome.averaged), seen[2])  # of two that are equally good the later one
    again = run(make_model(), samples, objective, validate, recipe, tmp_path / "run", resume=True)
    assert_equal(weights(again.averaged), seen[2])
