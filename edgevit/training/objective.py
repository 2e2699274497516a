"""What a run minimizes: how images are changed at random, how they become inputs, and what a wrong answer costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from numpy.typing import NDArray
from torch import Tensor

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.datasets.masks import IGNORED
from edgevit.training.augment import AUGMENTATIONS, Augmentation
from edgevit.training.batches import UNLABELLED, Label
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size

LEAST = 1e-9
"""A batch in which nothing has a class is divided by this, and its loss is 0."""


class Loss(Protocol):
    """How wrong a batch of answers is."""

    def __call__(
        self, answers: Any, labels: Sequence[Any], size: Size, *, closing: bool = False, ranks: Ranks = ALONE
    ) -> Tensor:
        """Return one number that has gradients.

        Where several processes share a batch, the mean of what they return is the loss of the batch.

        Args:
            answers: what the model gives for inputs of `size`, (height, width).
            labels: those of the batch's images; see batches.Label.
            size: (height, width) of the input.
            closing: whether this is the last part of the run, in which images are changed less.
            ranks: which process of how many this one is.
        """


@dataclass(frozen=True)
class Objective:
    """What the loop needs to know of a task."""

    loss: Loss
    augmentation: Augmentation
    preprocess: Preprocess
    """How levels become inputs; its size does not matter."""
    best: str = ""
    """The figure of the validation whose best averaged weights are kept; empty: the last ones are."""


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """The cross-entropy of each image that has a class, or of each of its pixels that has one."""

    smoothing: float
    class_weights: Tensor | None = None
    of_pixels: bool = False
    """Whether labels are masks, a class for each pixel."""

    def __call__(
        self,
        answers: Tensor,
        labels: Sequence[Label],
        size: Size,
        *,
        closing: bool = False,
        ranks: Ranks = ALONE,
    ) -> Tensor:
        """Return the loss of logits (B, classes) or (B, classes, h, w); see Loss."""
        logits, target = answers.float(), torch.from_numpy(np.array(labels, np.int64))
        none = IGNORED if self.of_pixels else UNLABELLED
        divisor = ranks.divisor(self._weight(target[target != none]), LEAST)
        if self.of_pixels:
            # as the board enlarges them
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        total = F.cross_entropy(
            logits,
            target.to(logits.device),
            weights,
            ignore_index=none,
            label_smoothing=self.smoothing,
            reduction="sum",
        )
        return total / divisor

    def _weight(self, counted: Tensor) -> float:
        """Return how many images or pixels there are; with weights of classes, the sum of theirs."""
        return len(counted) if self.class_weights is None else self.class_weights[counted].double().sum().item()


def cross_entropy(
    recipe: Recipe, counts: Sequence[int], preprocess: Preprocess, *, of_pixels: bool = False
) -> Objective:
    """Return the objective for classes, of which there are so many images, or pixels."""
    loss = CrossEntropy(recipe.label_smoothing, class_weights(counts) if recipe.balance else None, of_pixels)
    return Objective(loss, find_changes(recipe, preprocess), preprocess)


def find_changes(recipe: Recipe, preprocess: Preprocess) -> Augmentation:
    """Return how images are changed at random that are looked at as the preprocessing does."""
    changes = AUGMENTATIONS[recipe.augmentation]
    return replace(changes, vertical_flip=recipe.vertical_flip, centre=preprocess.crop_pct)


def class_weights(counts: Sequence[int]) -> Tensor:
    """Return each class's weight in the loss, in inverse proportion to its images; one image weighs 1 on average."""
    numbers = torch.tensor(counts, dtype=torch.float32).clamp(min=1)
    return numbers.sum() / (len(numbers) * numbers)


def normalize(pixels: NDArray[np.uint8], preprocess: Preprocess, device: str = "cpu") -> Tensor:
    """Map RGB images (B, H, W, 3) uint8 to inputs (B, 3, H, W) float32, channels last in memory."""
    x = torch.from_numpy(pixels).to(device).float().div_(255)
    x = (x - torch.tensor(preprocess.mean, device=device)) / torch.tensor(preprocess.std, device=device)
    x = x.flip(-1) if preprocess.channels == "BGR" else x
    return x.permute(0, 3, 1, 2)
