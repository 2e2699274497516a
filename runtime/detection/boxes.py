"""Boxes of one picture: those that are there, and those that were found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""(n, 4): left, top, right and bottom in pixels of the picture, from its upper left corner; pixels have extent, so a
box of the whole (H, W) picture is 0, 0, W, H."""

Float = TypeVar("Float", np.float32, np.float64)

WEAK = 0.1
"""Score from which boxes are looked at that are not sure enough to count: they make a frame hard, and may continue a
track, for which it is ByteTrack's value."""


def _no_boxes() -> Boxes:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """What is there in a picture, as somebody marked it."""

    boxes: Boxes
    classes: NDArray[np.int64]
    """(n,) index of each box's class."""
    crowd: NDArray[np.bool_]
    """(n,) whether a box holds many objects that nobody counted: what is found there is neither right nor wrong."""

    def __post_init__(self) -> None:
        """Raise ValueError for arrays that do not belong together."""
        check_lengths(self.boxes, classes=self.classes, crowd=self.crowd)


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """What a model found in a picture, the surest first."""

    boxes: Boxes
    scores: NDArray[np.float32]
    """(n,) how sure it is of each, 0..1, falling."""
    classes: NDArray[np.int64]
    """(n,) index of each box's class."""

    def __post_init__(self) -> None:
        """Raise ValueError for arrays that do not belong together."""
        check_lengths(self.boxes, classes=self.classes, scores=self.scores)

    def above(self, threshold: float | Sequence[float]) -> "FoundBoxes":
        """Return those whose score reaches the threshold: one for all classes, or one for each."""
        least = np.asarray(threshold, np.float32)
        kept = self.scores >= (least[self.classes] if least.ndim else least)
        return FoundBoxes(self.boxes[kept], self.scores[kept], self.classes[kept])


def no_truth() -> TrueBoxes:
    """Return the truth of a picture in which nothing is."""
    return TrueBoxes(_no_boxes(), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def nothing_found() -> FoundBoxes:
    """Return the answer for a picture in which nothing was found."""
    return FoundBoxes(_no_boxes(), np.zeros(0, np.float32), np.zeros(0, np.int64))


def check_lengths(boxes: Boxes, **others: NDArray[Any]) -> None:
    """Raise ValueError unless `boxes` is (n, 4) and each other array (n,)."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes have the shape {boxes.shape}, expected (n, 4)")
    for name, values in others.items():
        if values.shape != (len(boxes),):
            raise ValueError(f"{name} have the shape {values.shape}, expected ({len(boxes)},), one for each box")


def areas(boxes: Boxes) -> NDArray[np.float32]:
    """Return the (n,) areas of boxes in square pixels; 0 for a box whose sides are turned round."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersections(one: NDArray[Float], other: NDArray[Float]) -> NDArray[Float]:
    """Return the (n, m) areas that each pair of boxes shares, in their own precision."""
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    sides = np.maximum(np.minimum(one[:, None, 2:], other[None, :, 2:]) - corner, 0)
    shared: NDArray[Float] = sides[..., 0] * sides[..., 1]
    return shared


def overlaps(one: Boxes, other: Boxes) -> NDArray[np.float32]:
    """Return the (n, m) intersection over union of each pair of boxes; 0 where both are empty."""
    shared = intersections(one, other)
    whole = areas(one)[:, None] + areas(other)[None] - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0), np.float32)


def centres(boxes: Boxes) -> NDArray[np.float32]:
    """Return the (n, 2) centres, x and y in pixels."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
