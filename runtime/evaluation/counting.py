"""How well a detector counts: error and bias of its counts, and how many of its boxes are right, at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes
from edgevit.runtime.evaluation.matching import ANY_SIZE, HALF, match_boxes

THRESHOLDS = (np.arange(1, 100) / 100).astype(np.float32)
"""Where the best one is looked for."""


@dataclass(frozen=True)
class ClassCounts:
    """How well one class is counted, or all of them together."""

    true: int
    """How many there are in all pictures."""
    found: int
    """How many were counted."""
    error: float
    """Mean over the pictures of the difference of both, without its sign."""
    bias: float
    """The same with its sign: above 0 where too many are counted."""
    precision: float | None
    """Share of the counted boxes that are right, 0..1; None where none was counted."""
    recall: float | None
    """Share of the true boxes that were found, 0..1; None where there is none."""
    f1: float | None
    """Harmonic mean of both; None where there is nothing, neither true nor counted."""
    best_threshold: float | None
    """The threshold with the best `f1`, in hundredths; None where no box is right. For all classes, the same one."""


@dataclass(frozen=True)
class CountQuality:
    """How well boxes are counted whose score reaches the threshold of their class."""

    thresholds: tuple[float, ...]
    """For each class the score from which its boxes were counted."""
    total: ClassCounts
    """All classes together: counts, errors and biases are sums over the classes."""
    per_class: tuple[ClassCounts, ...]


@dataclass(frozen=True)
class _Seen:
    """The boxes of one class in all pictures."""

    true: NDArray[np.int64]
    """(pictures,) how many there are."""
    scores: NDArray[np.float32]
    """(D,) of those that were found."""
    right: NDArray[np.bool_]
    """(D,)"""
    picture: NDArray[np.intp]
    """(D,) which one each was found in."""


def judge_counts(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], thresholds: Sequence[float]) -> CountQuality:
    """Compare counts with those of the true boxes.

    What is found in a crowd is not counted, on either side.

    Args:
        truth: what is in each picture, at least one.
        found: what was found in each, in the same order; for `best_threshold`, also below the threshold.
        thresholds: for each class the score from which its boxes are counted.
    """
    seen = [_see(truth, found, index) for index in range(len(thresholds))]
    per_class = tuple(_counts([one], [least]) for one, least in zip(seen, thresholds, strict=True))
    return CountQuality(tuple(thresholds), _counts(seen, thresholds), per_class)


def _see(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], index: int) -> _Seen:
    matches = [match_boxes(*pair, index, HALF, ANY_SIZE) for pair in zip(truth, found, strict=True)]
    kept = [~one.ignored[0, 0] for one in matches]
    return _Seen(
        true=np.array([one.true[0] for one in matches]),
        scores=np.concatenate(
            [answer.scores[one.found[own]] for answer, one, own in zip(found, matches, kept, strict=True)]
        ),
        right=np.concatenate([one.right[0, 0, own] for one, own in zip(matches, kept, strict=True)]),
        picture=np.concatenate([np.full(own.sum(), i) for i, own in enumerate(kept)]),
    )


def _counts(seen: Sequence[_Seen], thresholds: Sequence[float]) -> ClassCounts:
    """Return the figures of some classes together."""
    pictures = len(seen[0].true)
    kept = [one.scores >= np.float32(least) for one, least in zip(seen, thresholds, strict=True)]
    difference = np.array(
        [np.bincount(one.picture[own], minlength=pictures) - one.true for one, own in zip(seen, kept, strict=True)]
    )
    true, found = sum(int(one.true.sum()) for one in seen), sum(int(own.sum()) for own in kept)
    right = sum(int(one.right[own].sum()) for one, own in zip(seen, kept, strict=True))
    return ClassCounts(
        true=true,
        found=found,
        error=float(np.abs(difference).sum() / pictures),
        bias=float(difference.sum() / pictures),
        precision=right / found if found else None,
        recall=right / true if true else None,
        f1=2 * right / (found + true) if found + true else None,
        best_threshold=_best_threshold(seen, true),
    )


def _best_threshold(seen: Sequence[_Seen], true: int) -> float | None:
    """Return the threshold with the best F1; of several that are equally good, the middle one."""
    scores = np.concatenate([one.scores for one in seen])
    right = np.concatenate([one.right for one in seen])
    kept = scores >= THRESHOLDS[:, None]  # (thresholds, D)
    hits = (kept & right).sum(axis=1)
    if not hits.any():
        return None
    f1 = 2 * hits / (kept.sum(axis=1) + true)
    best = np.flatnonzero(f1 == f1.max())
    return round(float(THRESHOLDS[best[len(best) // 2]]), 2)
