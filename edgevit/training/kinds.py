"""What there is to learn from: images with a class each, or pictures with masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from edgevit.artifact.manifest import Preprocess
from edgevit.models.zoo.spec import Task
from edgevit.runtime.datasets.folder import Layout
from edgevit.training.accuracy import Accuracy, measure_accuracy
from edgevit.training.batches import Examples
from edgevit.training.folders import drop_unreadable, labelled_samples
from edgevit.training.masked import MaskAccuracy, drop_unreadable_masked, masked_samples, measure_masks
from edgevit.training.schedule import Size

Quality = Accuracy | MaskAccuracy


class LearningSet(Examples, Protocol):
    """What the loop and the job need of folders.Samples and masked.MaskedSamples."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    def subset(self, indices: Sequence[int]) -> Self: ...
    def counts(self) -> tuple[int, ...]:
        """Return how many images, or pixels, each class has."""

    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class Kind:
    """How a task's data are read and its models measured."""

    layout: Layout
    """What the folder says of its pictures."""
    samples: Callable[..., tuple[Any, Any]]
    """A data folder and its split to what there is to train on and to judge by."""
    check: Callable[..., tuple[Any, tuple[str, ...]]]
    measure: Callable[..., Quality]
    unit: str
    """What `LearningSet.counts` counts."""
    crop_mode: str
    """How the preprocessing crops."""

    def preprocess(self, size: Size, crop_pct: float) -> Preprocess:
        return Preprocess(size=size, crop_pct=crop_pct, crop_mode=self.crop_mode)


KINDS: dict[Task, Kind] = {
    "classify": Kind("classes", labelled_samples, drop_unreadable, measure_accuracy, "images", "center"),
    "segment": Kind("masks", masked_samples, drop_unreadable_masked, measure_masks, "pixels", "squash"),
}
