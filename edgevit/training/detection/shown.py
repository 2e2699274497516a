"""The pictures to look at: which boxes of a model are right, which are wrong, and which are missed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, TrueBoxes
from edgevit.runtime.evaluation.matching import ANY_SIZE, HALF, match_boxes
from edgevit.training.detection.samples import BoxedSamples
from edgevit.training.schedule import Size

MOST_SHOWN = 12


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

    def count(self, kind: str) -> int:
        """Return how many boxes are of a kind."""
        return sum(box.kind == kind for box in self.boxes)

    @property
    def mistakes(self) -> int:
        return len(self.boxes) - self.count("right")


def show_worst(samples: BoxedSamples, found: Sequence[FoundBoxes], threshold: float) -> tuple[ShownPicture, ...]:
    """Return the pictures with the most mistakes at a threshold, and what those are."""
    pictures = [
        ShownPicture(str(path), size, _shown(truth, answer.above(threshold), samples.classes))
        for path, size, truth, answer in zip(samples.paths, samples.sizes, samples.truth, found, strict=True)
    ]
    return tuple(sorted(pictures, key=lambda picture: -picture.mistakes)[:MOST_SHOWN])


def _shown(truth: TrueBoxes, found: FoundBoxes, classes: Sequence[str]) -> tuple[ShownBox, ...]:
    """Return the boxes of a picture; what is found in a crowd is left out."""
    shown = []
    for index, label in enumerate(classes):
        matches = match_boxes(truth, found, index, HALF, ANY_SIZE)
        for number, right, ignored in zip(matches.found, matches.right[0, 0], matches.ignored[0, 0], strict=True):
            if not ignored:
                score = round(float(found.scores[number]), 3)
                shown.append(ShownBox(label, _rounded(found.boxes, number), "right" if right else "wrong", score))
        missed = matches.expected[matches.missed[0, 0]]
        shown += [ShownBox(label, _rounded(truth.boxes, number), "missed") for number in missed]
    return tuple(shown)


def _rounded(boxes: Boxes, number: np.intp) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(side), 1) for side in boxes[number])
    return left, top, right, bottom
