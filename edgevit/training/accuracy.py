"""Accuracy on labelled images, which are preprocessed as the board will do it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.evaluation.metrics import class_accuracy, confusion_table, macro_accuracy
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import read_image
from edgevit.training.batches import Examples
from edgevit.training.folders import Samples

MOST_MISTAKES = 24
"""Mistakes that are remembered: those with the most confidence."""


@dataclass(frozen=True)
class Mistake:
    """An image with a wrong answer."""

    path: str
    label: str
    answer: str
    confidence: float
    """How sure the answer is, 0..1."""


@dataclass(frozen=True)
class Accuracy:
    """Shares of images whose highest score is their own class, 0..1."""

    top1: float
    macro: float | None
    """Mean over classes, which a rare class moves as much as a common one; None where a class has no images."""
    per_class: dict[str, float]
    """Classes without images are left out."""
    images: int
    classes: tuple[str, ...]
    """All of them, in the order of the model's answers."""
    confusion: tuple[tuple[int, ...], ...]
    """How many images of each class (row) got each answer (column)."""
    mistakes: tuple[Mistake, ...]
    """The surest first, at most MOST_MISTAKES."""

    @property
    def right(self) -> int:
        """How many images are answered right."""
        return sum(row[i] for i, row in enumerate(self.confusion))

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures for the log and the header."""
        return {"top1": self.top1, "macro": self.macro}

    @property
    def main_figure(self) -> float:
        """The one by which models are compared."""
        return self.top1

    @property
    def threshold(self) -> None:
        """No score is suggested: the surest class is the answer."""


def measure_accuracy(
    model: nn.Module,
    samples: Samples,
    preprocessing: Preprocess,
    *,
    device: str = "cpu",
    bfloat16: bool = False,
    workers: int = 2,
) -> Accuracy:
    """Classify every image with `model`, which is left in evaluation mode.

    Raises:
        ImageError: an image cannot be read.
    """
    model.eval()
    batches: list[Tensor] = []
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
        for inputs in plain_inputs(samples, preprocessing, workers):
            batches.append(model(inputs.to(device)).float().cpu())
    logits = torch.cat(batches)
    answers, confidences = logits.argmax(dim=1), logits.softmax(dim=1).amax(dim=1)
    confusion = confusion_table(np.array(samples.labels), answers.numpy(), len(samples.classes))
    per_class = class_accuracy(confusion)
    return Accuracy(
        top1=float(confusion.trace() / confusion.sum()),
        macro=macro_accuracy(per_class),
        per_class={
            name: round(share, 4) for name, share in zip(samples.classes, per_class, strict=True) if share is not None
        },
        images=len(samples.paths),
        classes=samples.classes,
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        mistakes=_surest_mistakes(samples, answers.tolist(), confidences.tolist()),
    )


def _surest_mistakes(samples: Samples, answers: list[int], confidences: list[float]) -> tuple[Mistake, ...]:
    wrong = [i for i, (answer, label) in enumerate(zip(answers, samples.labels, strict=True)) if answer != label]
    wrong.sort(key=lambda i: -confidences[i])
    names = samples.classes
    return tuple(
        Mistake(str(samples.paths[i]), names[samples.labels[i]], names[answers[i]], round(confidences[i], 4))
        for i in wrong[:MOST_MISTAKES]
    )


def plain_inputs(samples: Examples, preprocessing: Preprocess, workers: int, batch: int = 64) -> Iterator[Tensor]:
    """Yield the samples without augmentation, normalized: (B, 3, H, W), one batch read ahead.

    Raises:
        ImageError: an image cannot be read.
    """

    def load(path: Path) -> NDArray[np.float32]:
        return preprocess(read_image(path, min_size=min_decode_size(preprocessing)), preprocessing)

    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(load, path) for path in samples.paths[:batch]]
        for start in range(batch, len(samples.paths) + batch, batch):
            current = ahead
            ahead = [pool.submit(load, path) for path in samples.paths[start : start + batch]]
            inputs = torch.from_numpy(np.stack([image.result() for image in current]))
            yield inputs.contiguous(memory_format=torch.channels_last)
