"""Which of the boxes that a model found are right, by COCO's rules: each takes at most one true box."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, TrueBoxes, intersections

MOST_BOXES = 100
"""Boxes of one class in one picture that are judged: the surest."""
ANY_SIZE = np.array([(0, 1e10)])
HALF = np.array([0.5])
"""The overlap from which people call a box right."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of the boxes of one class in one picture: D found ones, the surest first, and G true ones.

    It is told for S ranges of sizes and T overlaps.
    """

    found: NDArray[np.intp]
    """(D,) index of each among the boxes found in the picture."""
    expected: NDArray[np.intp]
    """(G,) index of each among the picture's true boxes."""
    right: NDArray[np.bool_]
    """(S, T, D) found a true box, or a crowd."""
    ignored: NDArray[np.bool_]
    """(S, T, D) neither right nor wrong: found a crowd, or is of another size."""
    missed: NDArray[np.bool_]
    """(S, T, G) true boxes that were to be found, and nothing did."""
    true: NDArray[np.int64]
    """(S,) how many true boxes were to be found."""


def match_boxes(
    truth: TrueBoxes, found: FoundBoxes, index: int, overlaps: NDArray[np.float64], sizes: NDArray[np.float64]
) -> Matches:
    """Give each found box of a class, the surest first, the true box that it overlaps most, of those still free.

    True boxes that are to be found go before those that are not, and the later one before an equal.

    Args:
        truth: what is in a picture.
        found: what a model found in it.
        index: the class; all others are left out.
        overlaps: (T,) intersections over unions from which a box counts as found.
        sizes: (S, 2) least and largest area of the true boxes that are to be found, in square pixels.
    """
    mine, own = np.flatnonzero(found.classes == index), np.flatnonzero(truth.classes == index)
    mine = mine[np.argsort(-found.scores[mine], kind="stable")[:MOST_BOXES]]
    boxes, crowd = found.boxes[mine], truth.crowd[own]
    skipped = crowd | _outside(truth.boxes[own], sizes)  # (S, G)
    shares = _shares(boxes, truth.boxes[own], crowd)  # (D, G)
    enough = shares[:, None] >= overlaps[:, None]  # (D, T, G)
    preference = shares.argsort(axis=1, kind="stable").argsort(axis=1)[:, None] + len(crowd) * ~skipped  # (D, S, G)
    free = np.ones((len(sizes), len(overlaps), len(crowd)), np.bool_)
    right = np.zeros((len(sizes), len(overlaps), len(boxes)), np.bool_)
    ignored = np.repeat(_outside(boxes, sizes)[:, None], len(overlaps), axis=1)
    for d in range(len(boxes) if len(crowd) else 0):
        candidates = free & enough[d]
        best = np.where(candidates, preference[d][:, None], -1).argmax(axis=2)  # (S, T)
        hit = candidates.any(axis=2)
        size, overlap = np.nonzero(hit)
        chosen = best[hit]
        right[:, :, d] = hit
        ignored[size, overlap, d] = skipped[size, chosen]
        free[size, overlap, chosen] = crowd[chosen]
    return Matches(mine, own, right, ignored, free & ~skipped[:, None], (~skipped).sum(axis=1))


def _outside(boxes: Boxes, sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (S, n), whether each box is of another size."""
    area = _area(boxes)
    return np.asarray((area < sizes[:, :1]) | (area > sizes[:, 1:]), np.bool_)


def _area(boxes: Boxes) -> NDArray[np.float64]:
    sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1], np.float64)


def _shares(boxes: Boxes, truth: Boxes, crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (D, G) intersections over unions, over the found box alone for a crowd.

    They are of double precision: 0.7 of single precision does not reach 0.7.
    """
    shared = intersections(boxes.astype(np.float64), truth.astype(np.float64))
    own = _area(boxes)[:, None]
    whole = np.where(crowd, own, own + _area(truth) - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)
