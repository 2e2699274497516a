"""Average precision of found boxes, by the rules of COCO's own evaluation, in numpy alone.

T.-Y. Lin et al., "Microsoft COCO: Common objects in context", arXiv 1405.0312, and the rules that pycocotools settled:
101 recalls, ten overlaps, and at most 100 boxes of a class in a picture. Tests compare it with pycocotools.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes
from edgevit.runtime.evaluation.matching import match_boxes

LEAST_SCORE = 0.001
"""Boxes from this score on are to be judged: the average precision is of all of them, sure or not."""
OVERLAPS = np.linspace(0.5, 0.95, 10)
"""Intersections over unions from which a box counts as found."""
RECALLS = np.linspace(0, 1, 101)
"""Shares of the true boxes at which the precision is read."""
SIZES = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])
"""Least and largest area of a true box in square pixels of its picture: of any, a small, a medium and a large one."""


@dataclass(frozen=True)
class BoxQuality:
    """How well boxes were found: average precisions, 0..1, each None where there is no true box of its kind."""

    ap: float | None
    """Mean over the classes with true boxes, and over the ten overlaps from 0.5 to 0.95."""
    ap50: float | None
    """The same for boxes that overlap by half."""
    ap75: float | None
    ap_small: float | None
    """The same as `ap` for true boxes of up to 32 x 32 pixels of the picture as it was taken."""
    ap_medium: float | None
    """Up to 96 x 96."""
    ap_large: float | None
    per_class: tuple[float | None, ...]
    """`ap` of each class."""
    per_class50: tuple[float | None, ...]
    """`ap50` of each class."""


def average_precision(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], classes: int) -> BoxQuality:
    """Judge the boxes that a model found in pictures.

    Boxes should be given down to low scores (0.01 or less): those above a threshold alone cut the average short.

    Args:
        truth: what is in each picture.
        found: what was found in each, in the same order; of equal scores the earlier picture's box comes first.
        classes: how many there are.
    """
    table = np.array([_class_table(truth, found, index) for index in range(classes)])  # (classes, S, T)
    table = table.reshape(classes, len(SIZES), len(OVERLAPS))
    at75 = int(np.argmin(np.abs(OVERLAPS - 0.75)))
    return BoxQuality(
        ap=_mean(table[:, 0]),
        ap50=_mean(table[:, 0, 0]),
        ap75=_mean(table[:, 0, at75]),
        ap_small=_mean(table[:, 1]),
        ap_medium=_mean(table[:, 2]),
        ap_large=_mean(table[:, 3]),
        per_class=tuple(_mean(row[0]) for row in table),
        per_class50=tuple(_mean(row[0, 0]) for row in table),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of what is known; None where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _class_table(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], index: int) -> NDArray[np.float64]:
    """Return the (S, T) average precisions of one class; NaN where there is nothing to find."""
    pictures = [match_boxes(*pair, index, OVERLAPS, SIZES) for pair in zip(truth, found, strict=True)]
    table = np.full((len(SIZES), len(OVERLAPS)), np.nan)
    if not pictures:
        return table
    scores = [answer.scores[one.found] for answer, one in zip(found, pictures, strict=True)]
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right = np.concatenate([one.right for one in pictures], axis=2)[:, :, order]
    ignored = np.concatenate([one.ignored for one in pictures], axis=2)[:, :, order]
    hits = np.cumsum(right & ~ignored, axis=2, dtype=np.float64)
    misses = np.cumsum(~right & ~ignored, axis=2, dtype=np.float64)
    for size, count in enumerate(np.sum([one.true for one in pictures], axis=0)):
        if count:
            table[size] = [_area_under(*pair, count) for pair in zip(hits[size], misses[size], strict=True)]
    return table


def _area_under(hits: NDArray[np.float64], misses: NDArray[np.float64], true: int) -> float:
    """Return the mean over the recalls of the best precision at this recall or a higher one; 0 where none is."""
    precision = hits / np.maximum(hits + misses, np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / true, RECALLS, side="left")
    return float(np.append(best, 0)[at].mean())
