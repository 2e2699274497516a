"""What differs between the boxes that were found in a picture and those that are expected there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, TrueBoxes
from edgevit.runtime.evaluation.matching import ANY_SIZE, HALF, match_boxes


@dataclass(frozen=True)
class MarkedBox:
    """A box of one side, and whether the other side has it too."""

    label: str
    box: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels of the picture."""
    conf: float | None
    """How sure the model is, 0..1; None for a true box."""
    alone: bool
    """Whether the other side has no such box: missed, or wrong."""


@dataclass(frozen=True)
class BoxDifference:
    """A picture, what is expected in it, and what was found."""

    source: str
    missed: int
    """Expected boxes that were not found."""
    extra: int
    """Found boxes that are not expected."""
    expected: tuple[MarkedBox, ...]
    """True boxes, or those that another model found."""
    found: tuple[MarkedBox, ...]

    @property
    def size(self) -> int:
        """How much differs, in boxes."""
        return self.missed + self.extra


def box_difference(
    source: str, expected: TrueBoxes | FoundBoxes, found: FoundBoxes, labels: Sequence[str]
) -> BoxDifference:
    """Compare the boxes of a picture: they are the same if they are of one class and overlap by half.

    What is found in a crowd is neither expected nor extra.
    """
    truth = expected if isinstance(expected, TrueBoxes) else _as_truth(expected)
    missed, extra = np.zeros(len(truth.boxes), np.bool_), np.zeros(len(found.boxes), np.bool_)
    for index in np.unique(np.concatenate([truth.classes, found.classes])):
        matches = match_boxes(truth, found, int(index), HALF, ANY_SIZE)
        missed[matches.expected] = matches.missed[0, 0]
        extra[matches.found] = ~matches.right[0, 0]
    before = None if isinstance(expected, TrueBoxes) else expected.scores
    return BoxDifference(
        source,
        int(missed.sum()),
        int(extra.sum()),
        _mark(truth.boxes, truth.classes, before, missed, labels),
        _mark(found.boxes, found.classes, found.scores, extra, labels),
    )


def _as_truth(found: FoundBoxes) -> TrueBoxes:
    return TrueBoxes(found.boxes, found.classes, np.zeros(len(found.boxes), np.bool_))


def _mark(
    boxes: Boxes,
    classes: NDArray[np.int64],
    scores: NDArray[np.float32] | None,
    alone: NDArray[np.bool_],
    labels: Sequence[str],
) -> tuple[MarkedBox, ...]:
    return tuple(
        MarkedBox(
            labels[classes[i]],
            (round(left, 2), round(top, 2), round(right, 2), round(bottom, 2)),
            None if scores is None else round(float(scores[i]), 6),
            bool(alone[i]),
        )
        for i, (left, top, right, bottom) in enumerate(boxes.tolist())
    )
