"""Ranges of activations over calibration images, in constant memory.

Every method watches all images but keeps, for each tensor, two numbers or one histogram.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Ranges = Mapping[str, tuple[float, float]]
"""Tensor name to the smallest and largest value that int8 must represent."""

Batches = Callable[[], Iterable[NDArray[np.float32]]]
"""Each call starts over: model inputs (B, 3, H, W), one batch at a time."""


BINS = 2048
LEVELS = 255
"""Steps of a uint8 range."""
TAIL = 1e-4
"""Share of the values that the percentile method cuts off at each end."""
SHRINKS = np.linspace(1.0, 0.2, 81)
"""Candidate ranges of the searching methods, as shares of the full one."""


def percentile_range(histogram: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Cut TAIL of the values off at each end of a histogram over low..high."""
    shares = np.cumsum(histogram) / histogram.sum()
    edges = np.linspace(low, high, len(histogram) + 1)
    first = int(np.searchsorted(shares, TAIL, side="right"))
    last = int(np.searchsorted(shares, 1 - TAIL))
    return float(edges[first]), float(edges[last + 1])


def mse_range(histogram: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Shrink low..high until clipping and rounding together lose the least squared error."""
    centers = _centers(histogram, low, high)

    def loss(lo: float, hi: float) -> float:
        step = (hi - lo) / LEVELS
        beyond = np.maximum(np.maximum(lo - centers, centers - hi), 0.0)
        return float((histogram * (beyond**2 + np.where(beyond > 0, 0.0, step**2 / 12))).sum())

    return _best_shrink(loss, low, high)


def entropy_range(histogram: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Shrink low..high until the int8 histogram diverges least from the float one (Kullback-Leibler)."""
    centers = _centers(histogram, low, high)

    def loss(lo: float, hi: float) -> float:
        level = np.clip(np.round((centers - lo) / (hi - lo) * LEVELS), 0, LEVELS).astype(np.int64)
        inside = (centers >= lo) & (centers <= hi)
        reference: NDArray[np.float64] = np.where(inside, histogram, 0).astype(np.float64)
        # what is clipped piles up on the outermost bins that are kept
        reference[np.argmax(inside)] += histogram[centers < lo].sum()
        reference[len(inside) - 1 - np.argmax(inside[::-1])] += histogram[centers > hi].sum()
        filled = inside & (histogram > 0)
        mass = np.bincount(level[inside], histogram[inside], LEVELS + 1)
        bins = np.bincount(level[filled], minlength=LEVELS + 1)
        quantized: NDArray[np.float64] = np.where(filled, (mass / np.maximum(bins, 1))[level], 0.0)
        both = (reference > 0) & (quantized > 0)
        p, q = reference[both] / reference.sum(), quantized[both] / quantized.sum()
        return float((p * np.log(p / q)).sum())

    return _best_shrink(loss, low, high)


def _best_shrink(loss: Callable[[float, float], float], low: float, high: float) -> tuple[float, float]:
    candidates = [(float(low * shrink), float(high * shrink)) for shrink in SHRINKS]
    return min(candidates, key=lambda pair: loss(*pair)) if high > low else (low, high)


def _centers(histogram: NDArray[np.int64], low: float, high: float) -> NDArray[np.float64]:
    return low + (np.arange(len(histogram)) + 0.5) * (high - low) / len(histogram)
