"""What a file format's stage is given: a prepared model, how to convert it, and the images to judge by."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from edgevit.artifact.manifest import BoxOutput, Precision, Preprocess
from edgevit.export.data.images import ExportImages
from edgevit.export.recipe import Recipe
from edgevit.export.tasks.answers import AnswerForm, Answers
from edgevit.runtime.progress import Track


class Verify(Protocol):
    """Compare one step's answers with PyTorch's and note how far they are; GateError if too far.

    How many must be the same is not asked where `judged`: by what is known to be on pictures, more of them, already.
    """

    def __call__(self, step: str, answers: Answers, precision: Precision = "fp32", *, judged: bool = False) -> None: ...


@dataclass(frozen=True)
class ConversionJob:
    """A model that is ready to become a file."""

    recipe: Recipe
    family: str
    model: nn.Module
    """In eval mode, prepared by `edgevit.models.layers.prepare_for_export`."""
    preprocessing: Preprocess
    labels: tuple[str, ...]
    form: AnswerForm
    """What the answers mean."""
    boxes: BoxOutput | None
    """The same of a detector, as its document says it; None for other models."""
    images: ExportImages
    verify: Verify
    track: Track

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input's shape, (batch, 3, height, width)."""
        return (self.recipe.batch, 3, *self.preprocessing.size)
