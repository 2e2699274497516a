"""One model's answers, batch by batch, to sums that say how good it is."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.evaluation.metrics import (
    BINS,
    calibration_table,
    class_accuracy,
    confusion_table,
    cosines,
    expected_calibration_error,
    hits_in_top,
    macro_accuracy,
    power_table,
    sqnr_db,
)
from edgevit.runtime.evaluation.report import Accuracy, Agreement, Flip, Mistake, ModelQuality

Named = TypeVar("Named", Flip, Mistake)


@dataclass(frozen=True)
class Batch:
    """Images prepared for all models."""

    sources: tuple[str, ...]
    labels: NDArray[np.intp] | None
    inputs: dict[Preprocess, NDArray[np.float32]]
    """(B, 3, H, W) for each preprocessing that a model asks for."""


@dataclass(frozen=True)
class Answer:
    """What one model says to a batch."""

    logits: NDArray[np.float32] | None
    """(B, classes); None from a model that gives probabilities only."""
    probabilities: NDArray[np.float32]

    @property
    def top1(self) -> NDArray[np.intp]:
        best: NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return best

    @property
    def confidence(self) -> NDArray[np.float32]:
        highest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest


class Accumulator:
    """Sums over the images so far, for one model."""

    def __init__(self, name: str, labels: tuple[str, ...], labelled: bool, flips: int) -> None:
        """Begin with no image; at most `flips` changed answers, and as many mistakes, will be named."""
        self.name, self.labels, self.labelled, self.wanted = name, labels, labelled, flips
        self.images = 0
        self.confidence = self.drift = 0.0
        self.answers = np.zeros(len(labels), np.int64)
        self.confusion = np.zeros((len(labels), len(labels)) if labelled else (0, 0), np.int64)
        self.calibration = np.zeros((BINS, 3))
        self.top5 = self.flips = self.lost = self.gained = 0
        self.powers = np.zeros(2)
        self.cosines = 0.0
        self.have_logits = True
        self.surest: list[tuple[float, int, Flip]] = []
        self.mistakes: list[tuple[float, int, Mistake]] = []

    def add(self, batch: Batch, answer: Answer, first: Answer) -> None:
        """Take in one batch."""
        self.answers += np.bincount(answer.top1, minlength=len(self.labels))
        self.confidence += float(answer.confidence.sum(dtype=np.float64))
        self.drift += float((answer.confidence - first.confidence).sum(dtype=np.float64))
        if answer.logits is not None and first.logits is not None:
            self.powers += power_table(first.logits, answer.logits)
            self.cosines += float(cosines(first.logits, answer.logits).sum())
        else:
            self.have_logits = False
        self._add_flips(batch, answer, first)
        if batch.labels is not None:
            right = answer.top1 == batch.labels
            self.confusion += confusion_table(batch.labels, answer.top1, len(self.labels))
            self.calibration += calibration_table(answer.confidence, right)
            self.top5 += hits_in_top(answer.probabilities, batch.labels, 5)
            self.lost += int(((first.top1 == batch.labels) & ~right).sum())
            self.gained += int(((first.top1 != batch.labels) & right).sum())
            self._add_mistakes(batch.sources, batch.labels, answer)
        self.images += len(batch.sources)

    def _add_flips(self, batch: Batch, answer: Answer, first: Answer) -> None:
        for i in np.flatnonzero(answer.top1 != first.top1):
            self.flips += 1
            flip = Flip(
                source=batch.sources[i],
                label=None if batch.labels is None else self.labels[batch.labels[i]],
                before=self.labels[first.top1[i]],
                before_conf=float(first.confidence[i]),
                after=self.labels[answer.top1[i]],
                after_conf=float(answer.confidence[i]),
            )
            self._keep(self.surest, (flip.after_conf, -self.flips, flip))

    def _add_mistakes(self, sources: Sequence[str], labels: NDArray[np.intp], answer: Answer) -> None:
        for i in map(int, np.flatnonzero(answer.top1 != labels)):
            names = self.labels[labels[i]], self.labels[answer.top1[i]]
            mistake = Mistake(sources[i], *names, conf=float(answer.confidence[i]))
            self._keep(self.mistakes, (mistake.conf, -self.images - i, mistake))

    def _keep(self, surest: list[tuple[float, int, Named]], one: tuple[float, int, Named]) -> None:
        """Add one to a heap of the surest, (confidence, a number that no other has, what it is)."""
        heapq.heappush(surest, one)
        if len(surest) > self.wanted:
            heapq.heappop(surest)

    def quality(self, *, compared: bool = False) -> ModelQuality:
        """Return what the sums say; `compared` with the first model."""
        return ModelQuality(
            model=self.name,
            mean_confidence=self.confidence / self.images,
            answers=tuple(int(count) for count in self.answers),
            accuracy=self._accuracy() if self.labelled else None,
            agreement=self._agreement() if compared else None,
        )

    def _accuracy(self) -> Accuracy:
        per_class = class_accuracy(self.confusion)
        return Accuracy(
            top1=float(self.confusion.trace() / self.images),
            macro=macro_accuracy(per_class),
            top5=self.top5 / self.images if len(self.labels) > 5 else None,
            ece=expected_calibration_error(self.calibration),
            per_class=per_class,
            confusion=tuple(tuple(int(count) for count in row) for row in self.confusion),
            mistakes=tuple(mistake for *_, mistake in sorted(self.mistakes, reverse=True)),
        )

    def _agreement(self) -> Agreement:
        return Agreement(
            top1=1 - self.flips / self.images,
            confidence_drift=self.drift / self.images,
            logit_sqnr_db=sqnr_db(self.powers) if self.have_logits else None,
            logit_cosine=self.cosines / self.images if self.have_logits else None,
            flips=self.flips,
            lost=self.lost if self.labelled else None,
            gained=self.gained if self.labelled else None,
            flipped=tuple(flip for *_, flip in sorted(self.surest, reverse=True)),
        )
