"""The training loop: AdamW, warm-up and cosine, EMA, progressive image size, resumable at any step."""

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.errors import DataError
from edgevit.training.data import Samples, training_batches

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Recipe:
    """All that decides the result, besides the images and the initial weights."""

    sizes: tuple[tuple[int, float], ...]
    """Image sizes in pixels with the epochs trained at each, in order: ((96, 20), (224, 1))."""
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    erase: float = 0.25
    """Probability of erasing a random rectangle of an image."""
    ema_decay: float = 0.999
    seed: int = 0
    bfloat16: bool = True

    def phases(self, images: int) -> Iterator[tuple[int, range]]:
        """Yield each image size with its range of steps."""
        start = 0
        for size, epochs in self.sizes:
            stop = start + max(1, round(epochs * images / self.batch))
            yield size, range(start, stop)
            start = stop

    def rate(self, step: int, total: int, images: int) -> float:
        """Return the learning rate at a step: linear warm-up, then a cosine to zero."""
        warmup = self.warmup_epochs * images / self.batch
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def train(
    model: nn.Module,
    samples: Samples,
    validate: Callable[[nn.Module, int], dict[str, float]],
    recipe: Recipe,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    workers: int = 2,
    report: Callable[[dict[str, Any]], None] = lambda record: None,
    validate_every: int | None = None,
) -> nn.Module:
    """Train `model`, writing `out/last.pt` and `out/log.jsonl` as it goes; return the averaged (EMA) model.

    Args:
        model: maps (B, 3, H, W) normalized images to (B, classes) logits.
        samples: the labelled images.
        validate: called with (averaged model, image size); its figures go to the log.
        recipe: see `Recipe`.
        out: folder of the run, made if needed.
        device: "cpu" or "cuda".
        resume: continue from `out/last.pt`.
        workers: threads that read images.
        report: called with each log record, for a progress display.
        validate_every: steps between validations; an epoch unless given.

    Raises:
        DataError: `resume` without a checkpoint, or with one of another recipe; an unreadable image.
    """
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    model = model.to(device=device, memory_format=torch.channels_last)
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(_decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    images = len(samples.paths)
    phases = list(recipe.phases(images))
    total = phases[-1][1].stop
    validate_every = validate_every or max(1, images // recipe.batch)
    first = _restore(out / "last.pt", model, averaged, optimizer, recipe) if resume else 0
    started, loss_sum, seen = time.monotonic(), 0.0, 0
    with (out / "log.jsonl").open("a" if resume else "w") as log:
        for size, steps in phases:
            todo = range(max(steps.start, first), steps.stop)
            if not todo:
                continue
            batches = training_batches(samples, size, recipe.batch, todo, recipe.seed, workers)
            for step, (pixels, labels) in zip(todo, batches, strict=True):
                rate = recipe.rate(step, total, images)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                loss_sum += _train_step(model, averaged, optimizer, pixels, labels, recipe, step, device)
                seen += 1
                done = step + 1
                if done % validate_every == 0 or done == total:
                    record = {
                        "step": done,
                        "of": total,
                        "epoch": round(done * recipe.batch / images, 3),
                        "size": size,
                        "rate": rate,
                        "loss": loss_sum / seen,
                        "elapsed_s": round(time.monotonic() - started, 1),
                        **validate(averaged, size),
                    }
                    loss_sum, seen = 0.0, 0
                    log.write(json.dumps(record) + "\n")
                    log.flush()
                    _save(out / "last.pt", model, averaged, optimizer, recipe, done)
                    report(record)
                elif done % 20 == 0:
                    report({"step": done, "of": total, "size": size, "loss": loss_sum / seen})
    return averaged


def normalize(pixels: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """Map RGB images (B, H, W, 3) uint8 to (B, 3, H, W) float32 with ImageNet's mean and deviation, channels last."""
    x = torch.from_numpy(pixels).to(device).float().div_(255)
    x = (x - torch.tensor(IMAGENET_MEAN, device=device)) / torch.tensor(IMAGENET_STD, device=device)
    return x.permute(0, 3, 1, 2)


def _train_step(
    model: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    step: int,
    device: str,
) -> float:
    model.train()
    x = normalize(pixels, device)
    _erase(x, recipe.erase, np.random.default_rng((recipe.seed, 2, step)))
    target = torch.from_numpy(labels).to(device)
    with torch.autocast(device, torch.bfloat16, enabled=recipe.bfloat16):
        logits = model(x)
    loss = F.cross_entropy(logits.float(), target, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    decay = min(recipe.ema_decay, (1 + step) / (10 + step))
    _average(averaged, model, decay)
    value = loss.item()
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


def _erase(x: Tensor, probability: float, rng: np.random.Generator) -> None:
    """Set a random square of some images to zero (the mean colour), in place."""
    size = x.shape[-1]
    for image in x:
        if rng.random() < probability:
            side = int(size * rng.uniform(0.15, 0.45))
            top, left = rng.integers(size - side, size=2)
            image[:, top : top + side, left : left + side] = 0.0


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Norm scales, biases and bias tables are not decayed."""
    plain = [p for name, p in model.named_parameters() if p.ndim < 2 or "attention_biases" in name]
    decayed = [p for name, p in model.named_parameters() if not (p.ndim < 2 or "attention_biases" in name)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def _save(path: Path, model: nn.Module, averaged: nn.Module, optimizer: Any, recipe: Recipe, step: int) -> None:
    state = {
        "step": step,
        "recipe": json.dumps(asdict(recipe)),
        "model": model.state_dict(),
        "state_dict_ema": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _restore(path: Path, model: nn.Module, averaged: nn.Module, optimizer: Any, recipe: Recipe) -> int:
    if not path.is_file():
        raise DataError(f"--resume: {path} does not exist; run without --resume to start")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["recipe"] != json.dumps(asdict(recipe)):
        raise DataError(f"--resume: {path} was trained with other options: {state['recipe']}; repeat those")
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["state_dict_ema"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
