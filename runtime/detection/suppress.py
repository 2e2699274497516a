"""Which of many overlapping boxes are told: class-wise non-maximum suppression, through OpenCV."""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes
from edgevit.schema import Range, Share, check_options

MOST = 100
"""Boxes that are told of one picture."""
FARTHEST = 1e5
"""Boxes are cut so many pixels from the picture's corner, so that wild ones do not cost the others their precision."""


@dataclass(frozen=True)
class Limits:
    """Which boxes are wanted; None for what the model's file says, or what suits its kind.

    Raises:
        OptionError: a value is of another type, or out of its range.
    """

    threshold: Share | None = None
    """Least score, 0..1."""
    overlap: Share | None = None
    """Intersection over union, 0..1, above which the less sure of two boxes of a class is left out."""
    candidates: Annotated[int, Range(1)] | None = None
    """How many boxes may reach the suppression, the surest."""
    most: Annotated[int, Range(1)] = MOST
    """How many are told."""

    def __post_init__(self) -> None:
        check_options(self)


def suppress(
    boxes: Boxes, scores: NDArray[np.float32], classes: NDArray[np.int64], overlap: float, most: int = MOST
) -> FoundBoxes:
    """Return the surest boxes of which no two of one class overlap too much, the surest first.

    Args:
        boxes: (n, 4) finite corners, in any order.
        scores: (n,) 0..1; equal ones stay in their order.
        classes: (n,) index of each box's class.
        overlap: intersection over union above which the less sure of two is left out.
        most: how many to return.
    """
    boxes = np.clip(boxes, -FARTHEST, FARTHEST)
    filled = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    order = filled[np.argsort(-scores[filled], kind="stable")]
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    # nothing overlaps by more than 1
    kept = _kept(boxes, classes, overlap)[:most] if len(order) and overlap < 1 else np.arange(min(most, len(order)))
    return FoundBoxes(boxes[kept], scores[kept], classes[kept])


def _kept(boxes: Boxes, classes: NDArray[np.int64], overlap: float) -> NDArray[np.int64]:
    """Return the places of those of boxes, the surest first, that stay.

    Classes are set side by side, so that boxes of two never overlap. OpenCV takes left, top, width, height, and leaves
    out what has no score above the least, so the order itself is given as scores.
    """
    corners = boxes.astype(np.float64) - boxes.min()
    corners += (classes * (corners.max() + 1))[:, None]
    corners[:, 2:] -= corners[:, :2]
    falling = np.linspace(1, 0.5, len(boxes), dtype=np.float32)
    return np.asarray(cv2.dnn.NMSBoxes(corners, falling, 0.0, overlap), np.int64)  # type: ignore[arg-type]
