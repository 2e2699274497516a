"""From single times to figures: percentiles, ratios between runs, and when a warm-up has settled."""

from collections.abc import Sequence

import numpy as np

from edgevit.runtime.benchmark.report import Ratio, Times

WINDOW = 5
"""Calls that are compared with as many before them."""
STEADY = 0.02
"""Largest difference between the medians of two windows, as a share, for a warm-up to have settled."""


def summarize(times_ms: Sequence[float]) -> Times:
    """Return the percentiles of times in milliseconds."""
    return Times(*(round(float(value), 4) for value in np.percentile(times_ms, (50, 90, 99))))


def compare_rounds(rounds_ms: Sequence[Sequence[float]], first_ms: Sequence[Sequence[float]]) -> Ratio:
    """Return how much longer than the first something took, and how that varied between rounds.

    Args:
        rounds_ms: for each round, the times in it.
        first_ms: of the first, in the same rounds.
    """
    ratios = [np.median(own) / np.median(other) for own, other in zip(rounds_ms, first_ms, strict=True)]
    return Ratio(*(round(float(value), 4) for value in np.percentile(ratios, (50, 10, 90))))


def is_settled(times_ms: Sequence[float]) -> bool:
    """Tell whether the last WINDOW calls took as long as those before them."""
    if len(times_ms) < 2 * WINDOW:
        return False
    last, before = np.median(times_ms[-WINDOW:]), np.median(times_ms[-2 * WINDOW : -WINDOW])
    return bool(abs(last - before) <= STEADY * before)
