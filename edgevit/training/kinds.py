"""What there is to learn from: images with a class each, pictures with masks, or pictures with boxes."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.models.zoo.spec import ModelSpec, Task
from edgevit.runtime.datasets.folder import Layout
from edgevit.training.accuracy import Accuracy, measure_accuracy
from edgevit.training.batches import Examples
from edgevit.training.detection.measure import BoxAccuracy, measure_boxes
from edgevit.training.detection.objective import find_boxes_objective
from edgevit.training.detection.samples import boxed_samples, drop_unreadable_boxed
from edgevit.training.folders import drop_unreadable, labelled_samples
from edgevit.training.masked import MaskAccuracy, drop_unreadable_masked, masked_samples, measure_masks
from edgevit.training.objective import Objective, cross_entropy
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size

Quality = Accuracy | MaskAccuracy | BoxAccuracy


class LearningSet(Examples, Protocol):
    """What the loop and the job need of folders.Samples, masked.MaskedSamples and detection's BoxedSamples."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    def subset(self, indices: Sequence[int]) -> Self: ...
    def counts(self) -> tuple[int, ...]:
        """Return how many images, pixels or boxes each class has."""

    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class Kind:
    """How a task's data are read, what a run minimizes, and how its models are measured."""

    layout: Layout
    """What the folder says of its pictures."""
    samples: Callable[..., tuple[Any, Any]]
    """A data folder and its split to what there is to train on and to judge by."""
    check: Callable[..., tuple[Any, tuple[str, ...]]]
    measure: Callable[[ModelSpec], Callable[..., Quality]]
    """A model's facts to what measures it on samples; see measure_accuracy."""
    objective: Callable[[ModelSpec, Recipe, LearningSet, Preprocess], Objective]
    preprocess: Callable[[ModelSpec, Size, float], Preprocess]
    """A model's facts, a size and the share of the crop to the preprocessing."""
    unit: str
    """What `LearningSet.counts` counts."""
    balances: bool = True
    """Whether rare classes may be made to count as much as common ones."""
    crops: bool = True
    """Whether the border of images may be left out."""


def _classes_objective(spec: ModelSpec, recipe: Recipe, samples: LearningSet, preprocess: Preprocess) -> Objective:
    return cross_entropy(recipe, samples.counts(), preprocess)


def _pixels_objective(spec: ModelSpec, recipe: Recipe, samples: LearningSet, preprocess: Preprocess) -> Objective:
    return cross_entropy(recipe, samples.counts(), preprocess, of_pixels=True)


def _boxes_objective(spec: ModelSpec, recipe: Recipe, samples: LearningSet, preprocess: Preprocess) -> Objective:
    return find_boxes_objective(recipe, _meaning(spec), preprocess)


def _measure_boxes(spec: ModelSpec) -> Callable[..., BoxAccuracy]:
    return functools.partial(measure_boxes, meaning=_meaning(spec))


def _meaning(spec: ModelSpec) -> BoxOutput:
    assert spec.family.boxes is not None
    return spec.family.boxes


KINDS: dict[Task, Kind] = {
    "classify": Kind(
        layout="classes",
        samples=labelled_samples,
        check=drop_unreadable,
        measure=lambda spec: measure_accuracy,
        objective=_classes_objective,
        preprocess=lambda spec, size, crop_pct: Preprocess(size=size, crop_pct=crop_pct),
        unit="images",
    ),
    "segment": Kind(
        layout="masks",
        samples=masked_samples,
        check=drop_unreadable_masked,
        measure=lambda spec: measure_masks,
        objective=_pixels_objective,
        preprocess=lambda spec, size, crop_pct: Preprocess(size=size, crop_pct=crop_pct, crop_mode="squash"),
        unit="pixels",
    ),
    "detect": Kind(
        layout="boxes",
        samples=boxed_samples,
        check=drop_unreadable_boxed,
        measure=_measure_boxes,
        objective=_boxes_objective,
        preprocess=lambda spec, size, crop_pct: replace(spec.preprocess, size=size),
        unit="boxes",
        balances=False,
        crops=False,
    ),
}
