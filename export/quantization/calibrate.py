"""Ranges of activations over calibration images, in constant memory: two numbers or one histogram for each tensor."""

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Ranges = Mapping[str, tuple[float, float]]
"""Tensor name to the smallest and largest value that int8 must represent."""

Batches = Callable[[], Iterable[NDArray[np.float32]]]
"""Each call starts over: model inputs (B, 3, H, W), one batch at a time."""

Values = Iterable[tuple[str, NDArray[np.float32]]]
"""Tensor names and the values that one batch gave them."""

BINS = 2048
TAIL = 1e-4
"""Share of the values that the percentile method cuts off at each end."""
HARD_SWISH_STARTS = -3.0
"""HardSwish is 0 from here downwards."""


def percentile_ranges(extremes: Ranges, batches: Iterable[Values]) -> Ranges:
    """Return each tensor's range without TAIL of its values at each end.

    Args:
        extremes: the smallest and largest value of each tensor.
        batches: all of the values again, one batch at a time.
    """
    counts = {name: np.zeros(BINS, np.int64) for name in extremes}
    for values in batches:
        for name, value in values:
            low, high = extremes[name]
            width = max(high - low, float(np.finfo(np.float32).tiny)) / BINS
            place = np.clip((value.ravel() - low) / width, 0, BINS - 1).astype(np.int64)
            counts[name] += np.bincount(place, minlength=BINS)
    return {name: percentile_range(counts[name], *extremes[name]) for name in extremes}


def percentile_range(histogram: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Cut TAIL of the values off at each end of a histogram over low..high."""
    shares = np.cumsum(histogram) / histogram.sum()
    edges = np.linspace(low, high, len(histogram) + 1)
    first = int(np.searchsorted(shares, TAIL, side="right"))
    last = int(np.searchsorted(shares, 1 - TAIL))
    return float(edges[first]), float(edges[last + 1])


def without_zeroed(ranges: Ranges, to_hard_swish: Collection[str]) -> Ranges:
    """Return ranges without what a function makes 0 of, so that the levels of int8 are for the rest.

    Trained weights have values down to -300 before a HardSwish, and no higher than 70.

    Args:
        ranges: of tensors, by their names.
        to_hard_swish: names of tensors that nothing but HardSwish reads.
    """
    return {
        name: (max(low, HARD_SWISH_STARTS), max(high, HARD_SWISH_STARTS)) if name in to_hard_swish else (low, high)
        for name, (low, high) in ranges.items()
    }
