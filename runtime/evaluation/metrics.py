"""How good answers are, as tables that add up: each batch gives one, their sum gives the figure, in constant memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Intervals of confidence for the calibration error."""


def confusion_table(labels: NDArray[np.intp], answers: NDArray[np.intp], classes: int) -> NDArray[np.int64]:
    """Return (classes, classes): how many images of the row's class were answered with the column's."""
    return np.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)


def class_accuracy(confusion: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Return each class's share of right answers, 0..1; None for a class without images."""
    counts = confusion.sum(axis=1)
    return tuple(
        float(hits / count) if count else None for hits, count in zip(confusion.diagonal(), counts, strict=True)
    )


def macro_accuracy(per_class: Sequence[float | None]) -> float | None:
    """Return the mean of the classes' accuracies, 0..1; None where a class has no images, so that it is not known."""
    known = [share for share in per_class if share is not None]
    return float(np.mean(known)) if known and len(known) == len(per_class) else None


def hits_in_top(probabilities: NDArray[np.float32], labels: NDArray[np.intp], k: int) -> int:
    """Count the images (N, classes) whose label is among the k most likely; of equals the lower index is first."""
    own = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1])[None] < labels[:, None]
    rank = ((probabilities > own) | ((probabilities == own) & earlier)).sum(axis=1)
    return int((rank < k).sum())


def calibration_table(confidences: NDArray[np.float32], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (BINS, 3): images, sum of confidences and right answers; bin m holds confidences in (m, m + 1] / BINS."""
    bins = np.clip(np.ceil(confidences * BINS).astype(np.intp) - 1, 0, BINS - 1)
    columns = (np.ones(len(bins)), confidences, right)
    return np.stack([np.bincount(bins, weights=column, minlength=BINS) for column in columns], axis=1)


def expected_calibration_error(table: NDArray[np.float64]) -> float:
    """Return the mean distance of confidence from accuracy, 0..1, weighted by images (Guo et al. 2017, eq. 3).

    arXiv 1706.04599; `table` is a sum of calibration_table's.
    """
    images, confidence, right = table.T
    return float(np.abs(right - confidence).sum() / images.sum())


def power_table(reference: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (2,): the summed squares of the reference, and of the difference from it."""
    exact = reference.astype(np.float64)
    return np.array([np.square(exact).sum(), np.square(exact - found).sum()])


def cosines(reference: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (images,): the cosine similarity of each image's values, (images, values); 0 where one has only zeros."""
    exact, other = reference.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    products: NDArray[np.float64] = (exact * other).sum(axis=1)
    return products / np.where(lengths > 0, lengths, np.inf)


def sqnr_db(powers: NDArray[np.float64]) -> float | None:
    """Return the signal-to-quantization-noise ratio in decibels of a sum of power_table's.

    None where there is no noise or no signal, so that the ratio is no number.
    """
    signal, noise = powers
    return float(10 * np.log10(signal / noise)) if signal > 0 and noise > 0 else None
