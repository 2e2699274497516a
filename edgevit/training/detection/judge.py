"""Which of the found boxes are right: the threshold to suggest, and the pictures to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, TrueBoxes, overlaps
from edgevit.training.detection.samples import BoxedSamples
from edgevit.training.schedule import Size

OVERLAP = 0.5
"""A found box is right if it shares so much with a true one of its class."""
MOST_SHOWN = 12
THRESHOLDS = (0.05, 0.9)
"""Lowest and highest that is suggested: few pictures say little."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found in a picture, and what is there."""

    truth: TrueBoxes
    found: FoundBoxes
    match: NDArray[np.int64]
    """(n,) for each found box the number of the true one that it found first, or -1; -2 where it meets a crowd only."""


@dataclass(frozen=True)
class ShownBox:
    """One box of a picture on the run's page."""

    label: str
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels."""
    kind: str
    """"right", "wrong", or "missed"."""
    score: float | None = None
    """0..1; None for one that was missed."""


@dataclass(frozen=True)
class ShownPicture:
    """A picture that was not trained on, with what was found."""

    path: str
    size: Size
    boxes: tuple[ShownBox, ...]

    @property
    def mistakes(self) -> int:
        return sum(box.kind != "right" for box in self.boxes)


def judge_pictures(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes]) -> list[Judged]:
    """Match what was found in each picture with what is there, the surest first."""
    return [Judged(*pair, _match(*pair)) for pair in zip(truth, found, strict=True)]


def _match(truth: TrueBoxes, found: FoundBoxes) -> NDArray[np.int64]:
    match = np.full(len(found.boxes), -1, np.int64)
    shared = overlaps(found.boxes, truth.boxes) * (found.classes[:, None] == truth.classes[None])
    free = ~truth.crowd
    for i, row in enumerate(shared):
        left = row * free
        if left.max(initial=0) >= OVERLAP:
            match[i] = left.argmax()
            free[match[i]] = False
        elif (row * truth.crowd).max(initial=0) > 0:
            match[i] = -2
    return match


def best_threshold(judged: Sequence[Judged]) -> float:
    """Return the score, in hundredths, above which the harmonic mean of precision and recall (F1) is highest."""
    true = sum(int((~one.truth.crowd).sum()) for one in judged)
    scores = np.concatenate([one.found.scores for one in judged])
    match = np.concatenate([one.match for one in judged])
    order = np.argsort(-scores, kind="stable")
    scores, match = scores[order], match[order]
    right, counted = (match >= 0).cumsum(), (match >= -1).cumsum()
    if not true or not right.any():
        return 0.25
    f1 = 2 * right / (counted + true)
    best = float(scores[int(f1.argmax())])
    return float(np.clip(np.floor(best * 100) / 100, *THRESHOLDS))


def show_worst(samples: BoxedSamples, judged: Sequence[Judged], threshold: float) -> tuple[ShownPicture, ...]:
    """Return the pictures with the most mistakes at a threshold, and what those are."""
    pictures = [
        ShownPicture(str(path), size, tuple(_shown(one, samples.classes, threshold)))
        for path, size, one in zip(samples.paths, samples.sizes, judged, strict=True)
    ]
    return tuple(sorted(pictures, key=lambda picture: -picture.mistakes)[:MOST_SHOWN])


def _shown(one: Judged, classes: Sequence[str], threshold: float) -> list[ShownBox]:
    told = one.found.scores >= threshold
    found = [
        ShownBox(classes[one.found.classes[i]], _rounded(one.found.boxes, i), "wrong" if one.match[i] == -1 else "right",
                 round(float(one.found.scores[i]), 3))
        for i in np.flatnonzero(told)
    ]
    met = set(one.match[told].tolist())
    missed = [i for i in range(len(one.truth.boxes)) if i not in met and not one.truth.crowd[i]]
    return found + [ShownBox(classes[one.truth.classes[i]], _rounded(one.truth.boxes, i), "missed") for i in missed]


def _rounded(boxes: Boxes, i: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(side), 1) for side in boxes[i])
    return left, top, right, bottom
