"""Distillation: while it learns its own classes, a model also learns to foretell a teacher's answers.

A linear layer on what the classifier is given foretells them; it is dropped at the end. So the teacher's classes may be
any. The loss is that of G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
arXiv 1503.02531: the divergence of the answers, both softened by a temperature, times its square.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.models.weights.load import STUDENT
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.augment import Augmentation
from edgevit.training.batches import TaughtLabel
from edgevit.training.folders import Samples
from edgevit.training.objective import Loss, Objective
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size


class TaughtModel(nn.Module):
    """A classifier with a second last layer: in training it returns (logits, the teacher's logits), else logits."""

    def __init__(self, student: nn.Module, head: str, classes: int) -> None:
        """Add a layer for so many classes of the teacher beside the student's layer named `head`."""
        super().__init__()
        self.add_module(STUDENT, student)
        self.head = head
        self.guess = nn.Linear(student.get_submodule(head).get_parameter("weight").shape[1], classes)

    @property
    def model(self) -> nn.Module:
        """The student, which is what stays at the end."""
        return self.get_submodule(STUDENT)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if not self.training:
            return self.model(x)  # type: ignore[no-any-return]
        seen: list[Tensor] = []
        hook = self.model.get_submodule(self.head).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            logits = self.model(x)
        finally:
            hook.remove()
        return logits, self.guess(seen[0].flatten(1))


@dataclass(frozen=True, eq=False)
class TaughtSamples(Samples):
    """Labelled image files with a teacher's answers."""

    answers: NDArray[np.float16]
    """(N, classes of the teacher): logarithms of probabilities, for whole pictures."""

    def subset(self, indices: Sequence[int]) -> "TaughtSamples":
        chosen = super().subset(indices)
        return TaughtSamples(chosen.paths, chosen.labels, chosen.classes, self.answers[list(indices)])

    def example(  # type: ignore[override]  # the loss takes what the samples give
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, TaughtLabel]:
        """Read and augment one image; the answer is about the whole of it, whatever part is cropped."""
        image, label = super().example(index, size, rng, augmentation)
        return image, TaughtLabel(label, self.answers[index])


@dataclass(frozen=True, eq=False)
class Distillation:
    """The loss of the labels, and how far the foretold answers are from the teacher's."""

    loss: Loss
    weight: float
    """How much the second counts, where the first counts 1."""
    temperature: float

    def __call__(
        self,
        answers: tuple[Tensor, Tensor],
        labels: Sequence[Any],
        size: Size,
        *,
        closing: bool = False,
        ranks: Ranks = ALONE,
    ) -> Tensor:
        """Return the loss of (logits, the teacher's logits) for TaughtLabels; see Loss."""
        logits, guessed = answers
        told = torch.from_numpy(np.stack([label.answer for label in labels]).astype(np.float32)).to(guessed.device)
        own = self.loss(logits, [label.label for label in labels], size, closing=closing, ranks=ranks)
        soft, wanted = ((each / self.temperature).log_softmax(1) for each in (guessed.float(), told))
        distance = F.kl_div(soft, wanted, reduction="sum", log_target=True) / ranks.divisor(len(labels))
        return own + self.weight * self.temperature**2 * distance


def teach(
    model: nn.Module, head: str, samples: Samples, objective: Objective, answers: NDArray[np.float16], recipe: Recipe
) -> tuple[TaughtModel, TaughtSamples, Objective]:
    """Return what `train` takes to learn from a teacher, too.

    Args:
        model: the student.
        head: the name of its last layer.
        samples: the N labelled pictures.
        objective: what else is minimized.
        answers: the teacher's, (N, its classes).
        recipe: its weight and temperature are used.
    """
    taught = TaughtSamples(samples.paths, samples.labels, samples.classes, answers)
    loss = Distillation(objective.loss, recipe.teacher_weight, recipe.temperature)
    return TaughtModel(model, head, answers.shape[1]), taught, replace(objective, loss=loss)
