"""What a validation found, as values; docs/validation.md describes their JSON."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

SCHEMA = 1
"""Version of the JSON."""


@dataclass(frozen=True)
class JudgedPictures:
    """Which pictures the figures are of."""

    text: str
    """Such as "42 pictures that were not trained on"."""
    of: int
    """How many the folder holds in all."""
    trained_on: int | None
    """How many of them a model was trained on; None where that cannot be known."""


@dataclass(frozen=True)
class Flip:
    """An image to which a model gives another answer than the first model."""

    source: str
    label: str | None
    """The class it really has, if known."""
    before: str
    """The first model's answer."""
    before_conf: float
    after: str
    after_conf: float


@dataclass(frozen=True)
class Mistake:
    """An image whose class a model does not answer with."""

    source: str
    label: str
    """The class it really has."""
    answer: str
    conf: float


@dataclass(frozen=True)
class Accuracy:
    """Answers against the classes that the images really have; shares 0..1."""

    top1: float
    macro: float | None
    """Mean of the classes' accuracies; None where a class has no image."""
    top5: float | None
    """None where the model has no more than five classes."""
    ece: float
    """Expected calibration error: mean distance of confidence from accuracy, over 15 bins."""
    per_class: tuple[float | None, ...]
    """In the order of the labels; None for a class without images."""
    confusion: tuple[tuple[int, ...], ...]
    """Images by class (row) and answer (column)."""
    mistakes: tuple[Mistake, ...]
    """The surest wrong answers first; no more than were asked for."""


@dataclass(frozen=True)
class Agreement:
    """Answers against the first model's."""

    top1: float
    """Share of images with the same answer, 0..1."""
    confidence_drift: float
    """Mean of the confidence in its own answer, less the first model's in its own."""
    logit_sqnr_db: float | None
    """Power of the first model's logits over that of the difference; None if either has none, or nothing differs."""
    logit_cosine: float | None
    """Cosine similarity of an image's logits to the first model's, mean over images; None if either has none."""
    flips: int
    lost: int | None
    """Images that the first model gets right and this one does not; None where the classes are not known."""
    gained: int | None
    flipped: tuple[Flip, ...]
    """The surest new answers first; no more than were asked for."""


@dataclass(frozen=True)
class ModelQuality:
    """What was found about one model."""

    model: str
    mean_confidence: float
    """Mean confidence of the answers, 0..1."""
    answers: tuple[int, ...]
    """How often each class was answered, in the order of the labels."""
    accuracy: Accuracy | None
    """None where the classes are not known."""
    agreement: Agreement | None
    """None for the first model."""


@dataclass(frozen=True)
class FolderReport:
    """What is told of a folder, whatever the models do; docs/validation.md describes the JSON."""

    task: ClassVar[str | None] = None
    """Stands in the JSON of all but classifiers."""
    data: str
    labelled: bool
    images: int
    """How many could be read."""
    judged: JudgedPictures
    unreadable: tuple[str, ...]
    """Why each other image was left out, its path first."""
    labels: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values only."""
        task = {} if self.task is None else {"task": self.task}
        return {"schema": SCHEMA, **task, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class Validation(FolderReport):
    """The answers of all classifiers on one folder."""

    models: tuple[ModelQuality, ...]
