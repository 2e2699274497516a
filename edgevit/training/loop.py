"""The training loop: AdamW, warm-up and cosine, averaged weights, progressive image size, resumable at any step."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.errors import DataError
from edgevit.training.batches import Examples, Label, training_batches
from edgevit.training.hardware import keep_grouped_convolutions_float
from edgevit.training.kinds import LearningSet
from edgevit.training.objective import Objective, normalize
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size, as_written
from edgevit.training.state import Best, Conditions, TrainingState, append_to_log, keep_log, restore, save

NOT_DECAYED = ("attention_biases", "cls_token", "pos_embed")
ERASE, DROP = 2, 3
"""Random streams of a run, beside those of `batches`: what is erased, and what the model itself draws."""
CLOSING = 0.9
"""Share of a run after which pictures are composed no more."""


@dataclass(frozen=True)
class Outcome:
    """What a run has reached."""

    averaged: nn.Module
    """The model with averaged weights, in evaluation mode."""
    step: int
    finished: bool
    """False where the run was told to stop; `last.pt` continues it."""


def train(
    model: nn.Module,
    samples: LearningSet,
    objective: Objective,
    validate: Callable[[nn.Module, Size], Mapping[str, float | None]],
    recipe: Recipe,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    workers: int = 2,
    listed: str | None = None,
    conditions: Conditions | None = None,
    facts: Mapping[str, str] = MappingProxyType({}),
    report: Callable[[dict[str, Any]], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    validate_every: int | None = None,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train `model`, writing `out/last.pt` and `out/log.jsonl` as it goes.

    The same arguments give the same weights on the same machine with the same number of threads, whether or not the
    run was stopped and resumed in between.

    Where several processes share the batches, each calls this with the same arguments. The first one's averaged weights
    and BatchNorm statistics are the run's; it alone validates and writes, and a stop that one is told ends all.

    Args:
        model: maps (B, 3, H, W) normalized images to what the objective's loss takes.
        samples: the images and what is known of them.
        objective: what to minimize.
        validate: called with (averaged model, (height, width)); its figures go to the log.
        recipe: see `Recipe`.
        out: folder of the run, made if needed.
        device: "cpu" or "cuda".
        resume: continue from `out/last.pt`.
        workers: threads that read images.
        listed: fingerprint of all images that were found, readable or not, by which others are refused early.
        conditions: what else decides the run's result, for `out/last.pt`.
        facts: what `last.pt` says of its weights; see TrainingFacts.
        report: called after each step with its figures, and with each log record.
        should_stop: asked after each step; if true, `last.pt` is written and the run ends there.
        validate_every: steps between validations; an epoch unless given.
        ranks: which process of how many this one is; they must have joined.

    Raises:
        CheckpointError: `resume` without a checkpoint, or with one of another recipe or other images.
        DataError: the loss is no longer finite.
        ImageError: an image has become unreadable.
        OptionError: the batch cannot be shared out evenly.
    """
    ranks.check_batch(recipe.batch)
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.bfloat16 and device == "cpu":
        keep_grouped_convolutions_float(model)
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(_decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    best = Best()
    state = TrainingState(model, averaged, optimizer, recipe, samples.fingerprint(), listed, best, conditions, facts)
    images = len(samples.paths)
    total = recipe.total_steps(images)
    validate_every = validate_every or max(1, images // recipe.batch)
    closing = int(total * CLOSING)
    first = restore(out / "last.pt", state) if resume else 0
    forward = ranks.wrap(model, [size for size, _ in recipe.phases(images)])
    started, loss_sum, seen = time.monotonic(), 0.0, 0
    if ranks.leads:
        keep_log(out / "log.jsonl", first)
    for size, step, pixels, labels in _remaining_batches(samples, objective, recipe, first, closing, workers, ranks):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, images)
        loss_sum += _train_step(state, forward, objective, pixels, labels, step, closing=step >= closing, ranks=ranks)
        seen += 1
        done = step + 1
        record: dict[str, Any] = {"step": done, "of": total, "size": as_written(size), "loss": loss_sum / seen}
        if done % validate_every == 0 or done == total:
            loss_sum, seen = 0.0, 0
            if ranks.leads:
                record |= {
                    "epoch": round(done * recipe.batch / images, 3),
                    "rate": recipe.rate(step, images),
                    "elapsed_s": round(time.monotonic() - started, 1),
                    **validate(averaged, size),
                }
                if size == recipe.final_size:
                    best.offer(record.get(objective.best), averaged)
                append_to_log(out / "log.jsonl", record)
                save(out / "last.pt", state, done)
        report(record)
        if ranks.any(should_stop()) and done < total:
            if ranks.leads:
                save(out / "last.pt", state, done)
            return Outcome(averaged, done, finished=False)
    best.load_into(averaged)
    return Outcome(averaged, total, finished=True)


def _remaining_batches(
    samples: Examples, objective: Objective, recipe: Recipe, first: int, closing: int, workers: int, ranks: Ranks
) -> Iterator[tuple[Size, int, NDArray[np.uint8], tuple[Label, ...]]]:
    """Yield image size, step, images and labels of each step from `first` on; none is composed from `closing` on."""
    changes, share = objective.augmentation, ranks.share(recipe.batch)
    for size, steps in recipe.phases(len(samples.paths)):
        early = range(max(steps.start, first), min(steps.stop, closing))
        late = range(max(steps.start, first, closing), steps.stop)
        for todo, changed in ((early, changes), (late, replace(changes, mosaic=0.0))):
            if todo:
                batches = training_batches(samples, size, recipe.batch, todo, recipe.seed, workers, changed, share)
                for step, (pixels, labels) in zip(todo, batches, strict=True):
                    yield size, step, pixels, labels


def _train_step(
    state: TrainingState,
    forward: nn.Module,
    objective: Objective,
    pixels: NDArray[np.uint8],
    labels: tuple[Label, ...],
    step: int,
    *,
    closing: bool,
    ranks: Ranks,
) -> float:
    """Take one step and return the loss of the whole batch."""
    recipe, model = state.recipe, state.model
    device = next(model.parameters()).device.type
    # what the model draws (stochastic depth) is also a function of (seed, step), and each process draws its own
    stream = (recipe.seed, DROP, step) if ranks.leads else (recipe.seed, DROP, step, ranks.rank)
    torch.manual_seed(int(np.random.default_rng(stream).integers(2**63)))
    model.train()
    x = normalize(pixels, objective.preprocess, device)
    draws = np.random.default_rng((recipe.seed, ERASE, step))
    _erase(x, objective.augmentation.erase, draws, ranks.share(recipe.batch), recipe.batch)
    with torch.autocast(device, torch.bfloat16, enabled=recipe.bfloat16):
        answers = forward(x)
    loss = objective.loss(answers, labels, (x.shape[2], x.shape[3]), closing=closing, ranks=ranks)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    state.optimizer.step()
    if ranks.leads:
        _average(state.averaged, model, min(recipe.ema_decay, (1 + step) / (10 + step)))
    value = ranks.mean(loss.item())
    if not math.isfinite(value):
        raise DataError(f"the loss became {value} at step {step}; lower --learning-rate, or pass --no-bfloat16")
    return value


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    for mean, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1 - decay)
        else:
            mean.copy_(new)


def _erase(x: Tensor, probability: float, rng: np.random.Generator, share: slice, batch: int) -> None:
    """Set a random square of some images to zero (the mean colour), in place; `x` is a share of so large a batch."""
    height, width = x.shape[-2:]
    own = dict(zip(range(batch)[share], x, strict=True))
    for place in range(batch):
        if rng.random() < probability:
            side = int(min(height, width) * rng.uniform(0.15, 0.45))
            top, left = rng.integers((height - side, width - side))
            if place in own:
                own[place][:, top : top + side, left : left + side] = 0.0


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Norm scales, biases, bias tables and what is added to tokens are not decayed."""

    def is_plain(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim < 2 or any(part in name for part in NOT_DECAYED)

    plain = [p for name, p in model.named_parameters() if is_plain(name, p)]
    decayed = [p for name, p in model.named_parameters() if not is_plain(name, p)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
