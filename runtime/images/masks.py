"""A segmentation model's answer to a mask at the picture's own size, without ever holding all classes at that size."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) class numbers; uint8 for up to 256 classes."""

_CORNERS = 1 << 20
"""Logits at the corners of gaps that are looked at together: 4 MB."""
_PIXELS = 1 << 15
"""Pixels interpolated together: few enough that they stay in a small processor's cache."""


def class_map(logits: NDArray[np.float32]) -> Mask:
    """Return the (h, w) best classes of (classes, h, w); the lower number among equals."""
    best, cells = logits[0].copy(), _as_mask(np.zeros(logits.shape[1:]), len(logits))
    for number in range(1, len(logits)):  # numpy's argmax along the first axis is many times slower
        np.copyto(cells, cells.dtype.type(number), where=logits[number] > best)
        np.maximum(best, logits[number], out=best)
    return cells


def nearest_mask(classes: NDArray[np.float32] | Mask, size: tuple[int, int], count: int) -> Mask:
    """Enlarge an (h, w) map of class numbers to `size` (height, width), each pixel taking the cell it lies in."""
    rows, columns = (
        np.minimum((np.arange(long) + 0.5) * short / long, short - 1).astype(np.intp)
        for short, long in zip(classes.shape, size, strict=True)
    )
    mask: Mask = _as_mask(classes, count)[:, columns][rows]
    return mask


@dataclass(frozen=True)
class _Axis:
    """Where the pixels of one axis lie among its cells: in the gap before each cell's centre, and after the last."""

    gap: NDArray[np.intp]
    """Index of the gap between two centres that each pixel lies in; 0 before the first centre."""
    share: NDArray[np.float32]
    """How far each pixel is from the gap's lower to its upper cell, 0..1."""
    cells: NDArray[np.intp]
    """(2, gaps), the lower and the upper cell; at the borders one cell is both."""
    pixels: NDArray[np.intp]
    """(most, gaps), the pixels in each gap, the last one repeated; -1 where there are none."""


def _axis(short: int, long: int) -> _Axis:
    place = (np.arange(long) + 0.5) * short / long - 0.5
    lower = np.floor(place)
    gap, numbers = lower.astype(np.intp) + 1, np.arange(short + 1)
    cells = np.clip([numbers - 1, numbers], 0, short - 1)
    starts = np.searchsorted(gap, np.arange(short + 2))
    first, last = starts[:-1], starts[1:] - 1
    pixels = np.minimum(first + np.arange(int(np.max(last - first)) + 1)[:, None], last)
    pixels[:, last < first] = -1
    return _Axis(gap, (place - lower).astype(np.float32), cells, pixels)


def bilinear_mask(logits: NDArray[np.float32], size: tuple[int, int]) -> Mask:
    """Return the (H, W) mask of logits (classes, h, w) that are enlarged bilinearly to `size`; pixel centres aligned.

    A class that is best at four neighbouring cells is best everywhere in the gap between them, since what lies there
    is their weighted mean. So only gaps between cells that disagree are interpolated, the outlines of things; and of
    their classes only those that are not at all four cells below one that is best at some. The answer is that of
    enlarging all.
    """
    height, width = logits.shape[1:]
    cells = class_map(logits)
    rows, columns = _axis(height, size[0]), _axis(width, size[1])
    # of each gap the four cells, upper left, upper right, lower left, lower right, and their best classes
    corners = np.stack([y[:, None] * width + x for y in rows.cells for x in columns.cells])
    best = cells.reshape(-1)[corners]
    mask: Mask = best[0][:, columns.gap][rows.gap]
    split = (best[1:] != best[0]).any(axis=0) & (rows.pixels[0] >= 0)[:, None] & (columns.pixels[0] >= 0)
    y, x = np.nonzero(split)
    planes = logits.reshape(len(logits), -1)
    step = max(1, _CORNERS // (4 * len(logits)))
    for start in range(0, len(y), step):
        some = (y[start : start + step], x[start : start + step])
        _fill(mask, np.take(planes, corners[:, *some], axis=1), best[:, *some], (rows, columns), some)
    return mask


def _fill(
    mask: Mask,
    values: NDArray[np.float32],
    best: Mask,
    axes: tuple[_Axis, _Axis],
    gaps: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> None:
    """Set the pixels of some gaps, given logits (classes, 4, gaps) and best classes (4, gaps) at their corners."""
    rivals, counts = _rivals(values, best)
    order = np.argsort(counts, kind="stable")  # those with as many rivals together
    rows, columns = axes
    step = max(1, _PIXELS // (len(rows.pixels) * len(columns.pixels)))
    for start in range(0, len(order), step):
        some = order[start : start + step]
        down, right = rows.pixels[:, gaps[0][some]], columns.pixels[:, gaps[1][some]]  # (most, gaps) each
        # (down, right, gaps): the longest axis last
        shape = (len(down), *right.shape)
        lead, winner = np.full(shape, -np.inf, np.float32), np.zeros(shape, mask.dtype)
        for number in rivals[: counts[some[-1]], some]:
            upper_left, upper_right, lower_left, lower_right = values[number, :, some].T
            above = upper_left + columns.share[right] * (upper_right - upper_left)
            below = lower_left + columns.share[right] * (lower_right - lower_left)
            here = rows.share[down][:, None] * (below - above)
            here += above
            # rivals come in the order of their numbers, so that a later winner's is the larger one
            np.maximum(winner, (here > lead) * number, out=winner)
            np.maximum(lead, here, out=lead)
        mask.reshape(-1)[down[:, None] * mask.shape[1] + right] = winner


def _rivals(values: NDArray[np.float32], best: Mask) -> tuple[Mask, NDArray[np.intp]]:
    """Return (most, gaps) classes that may be best somewhere in each gap, in their order, and how many they are.

    Where a gap has fewer, one that is best at a corner fills the rest.
    """
    every = np.arange(best.shape[1])
    possible = np.ones((len(values), len(every)), bool)
    for number in best:
        above = values[number, :, every].T  # (4, gaps)
        below: NDArray[np.bool_] = values[:, 0] <= above[0]
        for corner in (1, 2, 3):
            below &= values[:, corner] <= above[corner]
        possible &= ~below
    possible[best, every] = True
    place = possible.cumsum(axis=0)
    counts = place[-1]
    rivals = _as_mask(np.repeat(best[:1], counts.max(), axis=0), len(values))
    number, gap = np.nonzero(possible)
    rivals[place[number, gap] - 1, gap] = number
    return rivals, counts


def class_areas(mask: Mask, count: int) -> NDArray[np.float32]:
    """Return the (classes,) shares, 0..1, of a mask that belong to each class."""
    if mask.dtype == np.uint8:
        # OpenCV counts bytes several times faster than numpy does
        pixels = cv2.calcHist([mask], [0], None, [256], [0, 256]).reshape(-1)[:count]
    else:
        pixels = np.bincount(mask.reshape(-1), minlength=count)
    return np.asarray(pixels / mask.size, np.float32)


def _as_mask(classes: NDArray[np.generic], count: int) -> Mask:
    return classes.astype(np.uint8) if count <= 256 else classes.astype(np.uint16)
