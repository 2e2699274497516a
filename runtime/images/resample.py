"""Antialiased scaling of images, equal bit for bit to Pillow's, computing only the part that is kept.

The filter is the one that timm's and torchvision's evaluation transforms use on Pillow images: a separable kernel
stretched by the scale, weights rounded to 22 bits, and uint8 between the horizontal and the vertical pass. Sums of
such products are exact in float64, so a matrix product in any order gives the same bytes. Pillow up to 12 always makes
the horizontal pass first, and so does this; Pillow 13 takes the vertical one first for some tall images.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

RGBImage = NDArray[np.uint8]
"""(H, W, 3), red first."""

_WEIGHT_STEPS = 1 << 22
_BLOCK = 16
"""Output pixels computed by one matrix product: few enough that the band of inputs they share is narrow."""
_ROWS = 64
"""Image rows converted to float64 at a time, so that they stay in the cache."""


@dataclass(frozen=True)
class Box:
    """The part of the scaled image that is kept, in its pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class _Band:
    """Some neighbouring output pixels and the input pixels that they are made of."""

    source: slice
    target: slice
    weights: NDArray[np.float64]
    """(inputs, outputs)"""


def resample(image: RGBImage, size: tuple[int, int], box: Box, interpolation: str) -> RGBImage:
    """Scale an (H, W, 3) image to `size` (height, width) and return the box of the result."""
    columns = _bands(image.shape[1], size[1], box.left, box.width, interpolation)
    rows = _bands(image.shape[0], size[0], box.top, box.height, interpolation)
    first = min(band.source.start for band in rows)
    last = max(band.source.stop for band in rows)
    left = min(band.source.start for band in columns)
    right = max(band.source.stop for band in columns)
    across = _scale_columns(image[first:last, left:right], left, columns, box.width)
    planes = np.empty((3, box.height, box.width))
    for band in rows:
        source = slice(band.source.start - first, band.source.stop - first)
        np.matmul(band.weights.T, across[:, source], out=planes[:, band.target])
    return np.asarray(cv2.merge(list(_to_levels(planes).astype(np.uint8))), np.uint8)


def _scale_columns(image: RGBImage, left: int, bands: tuple[_Band, ...], width: int) -> NDArray[np.float64]:
    """Return (3, H, width) whole levels 0..255 from (H, W, 3), whose first column is number `left` of the bands'."""
    across = np.empty((3, image.shape[0], width))
    for start in range(0, image.shape[0], _ROWS):
        strip = image[start : start + _ROWS]
        planes = np.stack(cv2.split(strip)).astype(np.float64)  # (3, rows, W)
        out = across[:, start : start + _ROWS]
        for band in bands:
            source = slice(band.source.start - left, band.source.stop - left)
            np.matmul(planes[:, :, source], band.weights, out=out[:, :, band.target])
        _to_levels(out)
    return across


def _to_levels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round halves up and clip to 0..255, in place."""
    values += 0.5
    np.floor(values, out=values)
    return np.clip(values, 0, 255, out=values)


@functools.lru_cache(maxsize=32)
def _bands(length: int, scaled: int, first: int, count: int, interpolation: str) -> tuple[_Band, ...]:
    """Return how pixels first..first+count of `length` pixels scaled to `scaled` are made of the originals."""
    kernel, radius = KERNELS[interpolation]
    scale = length / scaled
    stretch = max(scale, 1.0)
    bands = []
    for start in range(first, first + count, _BLOCK):
        outputs = range(start, min(start + _BLOCK, first + count))
        centers = [(x + 0.5) * scale for x in outputs]
        low = [max(int(center - radius * stretch + 0.5), 0) for center in centers]
        high = [min(int(center + radius * stretch + 0.5), length) for center in centers]
        weights = np.zeros((high[-1] - low[0], len(outputs)))
        for column, center in enumerate(centers):
            taps = np.arange(low[column], high[column], dtype=np.float64)
            shares = kernel((taps - center + 0.5) / stretch)
            steps = np.trunc(shares / shares.sum() * _WEIGHT_STEPS + np.copysign(0.5, shares))
            weights[low[column] - low[0] : high[column] - low[0], column] = steps / _WEIGHT_STEPS
        target = slice(start - first, start - first + len(outputs))
        bands.append(_Band(slice(low[0], high[-1]), target, weights))
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
