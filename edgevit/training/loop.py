"""The training loop: AdamW, warm-up and cosine, averaged weights, progressive image size, resumable at any step."""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.errors import DataError
from edgevit.runtime.datasets.masks import IGNORED
from edgevit.training.augment import AUGMENTATIONS
from edgevit.training.batches import training_batches
from edgevit.training.hardware import keep_grouped_convolutions_float
from edgevit.training.kinds import LearningSet
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size, as_written
from edgevit.training.state import TrainingState, keep_log, restore, save

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NOT_DECAYED = ("attention_biases", "cls_token", "pos_embed")
ERASE, DROP = 2, 3
"""Random streams of a run, beside those of `batches`: what is erased, and what the model itself draws."""


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
    validate: Callable[[nn.Module, Size], Mapping[str, float | None]],
    recipe: Recipe,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    workers: int = 2,
    listed: str | None = None,
    report: Callable[[dict[str, Any]], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    validate_every: int | None = None,
) -> Outcome:
    """Train `model`, writing `out/last.pt` and `out/log.jsonl` as it goes.

    The same arguments give the same weights on the same machine with the same number of threads, whether or not the
    run was stopped and resumed in between.

    Args:
        model: maps (B, 3, H, W) normalized images to (B, classes) logits, or to (B, classes, h, w).
        samples: the labelled images, or images with masks.
        validate: called with (averaged model, (height, width)); its figures go to the log.
        recipe: see `Recipe`.
        out: folder of the run, made if needed.
        device: "cpu" or "cuda".
        resume: continue from `out/last.pt`.
        workers: threads that read images.
        listed: fingerprint of all images that were found, readable or not, by which others are refused early.
        report: called after each step with its figures, and with each log record.
        should_stop: asked after each step; if true, `last.pt` is written and the run ends there.
        validate_every: steps between validations; an epoch unless given.

    Raises:
        CheckpointError: `resume` without a checkpoint, or with one of another recipe or other images.
        DataError: the loss is no longer finite.
        ImageError: an image has become unreadable.
    """
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.bfloat16 and device == "cpu":
        keep_grouped_convolutions_float(model)
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(_decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    state = TrainingState(model, averaged, optimizer, recipe, samples.fingerprint(), listed)
    images = len(samples.paths)
    total = recipe.total_steps(images)
    validate_every = validate_every or max(1, images // recipe.batch)
    class_weights = _class_weights(samples).to(device) if recipe.balance else None
    first = restore(out / "last.pt", state) if resume else 0
    started, loss_sum, seen = time.monotonic(), 0.0, 0
    keep_log(out / "log.jsonl", first)
    with (out / "log.jsonl").open("a", encoding="utf-8", newline="\n") as log:
        for size, step, pixels, labels in _remaining_batches(samples, recipe, first, workers):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, images)
            loss_sum += _train_step(state, pixels, labels, step, class_weights)
            seen += 1
            done = step + 1
            record: dict[str, Any] = {"step": done, "of": total, "size": as_written(size), "loss": loss_sum / seen}
            if done % validate_every == 0 or done == total:
                record |= {
                    "epoch": round(done * recipe.batch / images, 3),
                    "rate": recipe.rate(step, images),
                    "elapsed_s": round(time.monotonic() - started, 1),
                    **validate(averaged, size),
                }
                loss_sum, seen = 0.0, 0
                log.write(json.dumps(record) + "\n")
                log.flush()
                save(out / "last.pt", state, done)
            report(record)
            if should_stop() and done < total:
                save(out / "last.pt", state, done)
                return Outcome(averaged, done, finished=False)
    return Outcome(averaged, total, finished=True)


def _remaining_batches(
    samples: LearningSet, recipe: Recipe, first: int, workers: int
) -> Iterator[tuple[Size, int, NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield image size, step, images and labels of each step from `first` on."""
    for size, steps in recipe.phases(len(samples.paths)):
        todo = range(max(steps.start, first), steps.stop)
        if todo:
            changes = AUGMENTATIONS[recipe.augmentation]
            batches = training_batches(samples, size, recipe.batch, todo, recipe.seed, workers, changes)
            for step, (pixels, labels) in zip(todo, batches, strict=True):
                yield size, step, pixels, labels


def normalize(pixels: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """Map RGB images (B, H, W, 3) uint8 to (B, 3, H, W) float32 with ImageNet's mean and deviation, channels last."""
    x = torch.from_numpy(pixels).to(device).float().div_(255)
    x = (x - torch.tensor(IMAGENET_MEAN, device=device)) / torch.tensor(IMAGENET_STD, device=device)
    return x.permute(0, 3, 1, 2)


def _train_step(
    state: TrainingState,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    step: int,
    class_weights: Tensor | None,
) -> float:
    """Take one step and return its loss."""
    recipe, model = state.recipe, state.model
    device = next(model.parameters()).device.type
    # what the model draws (stochastic depth) is also a function of (seed, step)
    torch.manual_seed(int(np.random.default_rng((recipe.seed, DROP, step)).integers(2**63)))
    model.train()
    x = normalize(pixels, device)
    _erase(x, AUGMENTATIONS[recipe.augmentation].erase, np.random.default_rng((recipe.seed, ERASE, step)))
    target = torch.from_numpy(labels).to(device)
    with torch.autocast(device, torch.bfloat16, enabled=recipe.bfloat16):
        logits = model(x)
    loss = _loss(logits.float(), target, class_weights, recipe.label_smoothing)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    state.optimizer.step()
    _average(state.averaged, model, min(recipe.ema_decay, (1 + step) / (10 + step)))
    value = loss.item()
    if not math.isfinite(value):
        raise DataError(f"the loss became {value} at step {step}; lower --learning-rate, or pass --no-bfloat16")
    return value


def _loss(logits: Tensor, target: Tensor, class_weights: Tensor | None, smoothing: float) -> Tensor:
    """Return the cross-entropy of logits (B, classes) and labels (B,), or (B, classes, h, w) and masks (B, H, W)."""
    if target.ndim == 3:
        # as the board enlarges them
        logits = F.interpolate(logits, target.shape[1:], mode="bilinear", align_corners=False)
    return F.cross_entropy(logits, target, class_weights, ignore_index=IGNORED, label_smoothing=smoothing)


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    for mean, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1 - decay)
        else:
            mean.copy_(new)


def _erase(x: Tensor, probability: float, rng: np.random.Generator) -> None:
    """Set a random square of some images to zero (the mean colour), in place."""
    height, width = x.shape[-2:]
    for image in x:
        if rng.random() < probability:
            side = int(min(height, width) * rng.uniform(0.15, 0.45))
            top, left = rng.integers((height - side, width - side))
            image[:, top : top + side, left : left + side] = 0.0


def _class_weights(samples: LearningSet) -> Tensor:
    """Return each class's weight in the loss, in inverse proportion to its images; one image weighs 1 on average."""
    counts = torch.tensor(samples.counts(), dtype=torch.float32).clamp(min=1)
    return counts.sum() / (len(counts) * counts)


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Norm scales, biases, bias tables and what is added to tokens are not decayed."""

    def is_plain(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim < 2 or any(part in name for part in NOT_DECAYED)

    plain = [p for name, p in model.named_parameters() if is_plain(name, p)]
    decayed = [p for name, p in model.named_parameters() if not is_plain(name, p)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
