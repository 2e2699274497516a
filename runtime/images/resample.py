"""Antialiased scaling of images, equal bit for bit to Pillow's, computing only the part that is kept.

The filter is the one that timm's and torchvision's evaluation transforms use on Pillow images: a separable kernel
stretched by the scale, weights rounded to 22 bits, and uint8 between the horizontal and the vertical pass. Sums of
such products are exact in float64, so a matrix product in any order gives the same bytes. Pillow up to 12 always makes
the horizontal pass first, and so does this; Pillow 13 takes the vertical one first for some tall images.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

RGBImage = NDArray[np.uint8]
"""(H, W, 3), red first."""

_WEIGHT_STEPS = 1 << 22
_BLOCK = 6
"""Output pixels computed by one matrix product: few enough that the band of inputs they share is narrow."""
_PRODUCTS = 1 << 18
"""Multiplications of a matrix product, at most: for more, OpenBLAS wakes threads that cost more than they do."""


class Box(NamedTuple):
    """The part of the scaled image that is kept, in its pixels."""

    top: int
    left: int
    height: int
    width: int


class _Band(NamedTuple):
    """Some neighbouring output pixels and the input pixels that they are made of."""

    source: slice
    target: slice
    weights: NDArray[np.floating[Any]]
    """(outputs, inputs)"""


def resample(image: RGBImage, size: tuple[int, int], box: Box, interpolation: str, *, fast: bool = False) -> RGBImage:
    """Scale an (H, W, 3) image to `size` (height, width) and return the box of the result.

    With `fast` it is computed in float32: a few of 100,000 values, those that lie on a rounding edge, are a level off.
    """
    kind = np.float32 if fast else np.float64
    columns = _bands(image.shape[1], size[1], box.left, box.width, interpolation, kind)
    rows = _bands(image.shape[0], size[0], box.top, box.height, interpolation, kind)
    top, bottom = _covered(rows)
    left, right = _covered(columns)
    # each pass weighs whole lines, which then lie one after the other in memory
    across = _weigh(_turned(cv2.split(image[top:bottom, left:right])), columns, left)
    across = across.reshape(box.width, 3, bottom - top)
    down = _weigh(_turned([across[:, channel] for channel in range(3)]), rows, top)
    down = down.reshape(box.height, 3, box.width)
    return np.asarray(cv2.merge([down[:, channel] for channel in range(3)]), np.uint8)


def _covered(bands: tuple[_Band, ...]) -> tuple[int, int]:
    """Return the first of the input pixels that are needed, and the one behind the last."""
    return min(band.source.start for band in bands), max(band.source.stop for band in bands)


def _turned(planes: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    """Return the columns of three (H, W) planes of uint8 as lines, one plane behind the other: (W, 3 * H).

    OpenCV turns single planes in a third of the time that interleaved ones take.
    """
    height, width = planes[0].shape
    turned = np.empty((width, 3, height), np.uint8)
    for channel, plane in enumerate(planes):
        cv2.transpose(plane, turned[:, channel])
    return turned.reshape(width, -1)


def _weigh(lines: NDArray[np.uint8], bands: tuple[_Band, ...], first: int) -> NDArray[np.uint8]:
    """Return weighted sums of (inputs, n) lines, of which the first is number `first` of the bands': (outputs, n)."""
    sums = np.empty((bands[-1].target.stop, lines.shape[1]), np.uint8)
    kind = bands[0].weights.dtype
    length = min(lines.shape[1], max(1, _PRODUCTS // max(band.weights.size for band in bands)))
    # numpy compares arrays with each other in a third of the time that it takes with a number
    lowest, highest = np.zeros((_BLOCK, length), kind), np.full((_BLOCK, length), 255.5, kind)
    for band in bands:
        source = slice(band.source.start - first, band.source.stop - first)
        for start in range(0, lines.shape[1], length):
            piece = slice(start, start + length)
            values = band.weights @ lines[source, piece].astype(kind)
            # halves are rounded up; as no value is negative then, what is cut off rounds down
            values += 0.5
            of_piece = np.s_[: values.shape[0], : values.shape[1]]
            np.maximum(values, lowest[of_piece], out=values)
            sums[band.target, piece] = np.minimum(values, highest[of_piece], out=values)
    return sums


@functools.lru_cache(maxsize=32)
def _bands(
    length: int, scaled: int, first: int, count: int, interpolation: str, kind: type[np.floating[Any]]
) -> tuple[_Band, ...]:
    """Return how pixels first..first+count of `length` pixels scaled to `scaled` are made of the originals."""
    kernel, radius = KERNELS[interpolation]
    scale = length / scaled
    stretch = max(scale, 1.0)
    centers = (np.arange(first, first + count) + 0.5) * scale
    low = np.maximum((centers - radius * stretch + 0.5).astype(np.int64), 0)
    high = np.minimum((centers + radius * stretch + 0.5).astype(np.int64), length)
    taps = low[:, None] + np.arange((high - low).max())  # (count, most taps)
    shares = np.where(taps < high[:, None], kernel((taps - centers[:, None] + 0.5) / stretch), 0.0)
    # added one after the other, as Pillow does
    shares /= np.cumsum(shares, axis=1)[:, -1:]
    steps = np.trunc(shares * _WEIGHT_STEPS + np.copysign(0.5, shares))
    bands = []
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        begin, end = int(low[start]), int(high[stop - 1])
        weights = np.zeros((stop - start, end - begin), kind)
        for row in range(start, stop):
            inputs = high[row] - low[row]
            weights[row - start, low[row] - begin :][:inputs] = steps[row, :inputs] / _WEIGHT_STEPS
        bands.append(_Band(slice(begin, end), slice(start, stop), weights))
    return tuple(bands)


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5 (Cubic convolution interpolation for digital image processing, 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights: NDArray[np.float64] = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return weights


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(x), 0.0)
    return weights


KERNELS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bicubic": (_bicubic, 2.0),
    "bilinear": (_triangle, 1.0),
}
"""Interpolation to its kernel and the kernel's radius, in input pixels when enlarging."""
