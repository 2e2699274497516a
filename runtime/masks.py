"""A segmentation model's answer to a mask at the picture's own size, without ever holding all classes at that size."""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) class numbers; uint8 for up to 256 classes."""

_TILE = 1 << 20
"""Float32 values of enlarged logits that are held at a time: 4 MB."""


def class_map(logits: NDArray[np.float32]) -> Mask:
    """Return the (h, w) best classes of (classes, h, w); the lower number among equals."""
    return _as_mask(logits.argmax(axis=0), len(logits))


def nearest_mask(classes: NDArray[np.float32] | Mask, size: tuple[int, int], count: int) -> Mask:
    """Enlarge an (h, w) map of class numbers to `size` (height, width), each pixel taking the cell it lies in."""
    rows, columns = (
        np.minimum((np.arange(long) + 0.5) * short / long, short - 1).astype(np.intp)
        for short, long in zip(classes.shape, size, strict=True)
    )
    mask: Mask = _as_mask(classes, count)[:, columns][rows]
    return mask


def bilinear_mask(logits: NDArray[np.float32], size: tuple[int, int]) -> Mask:
    """Return the (H, W) mask of logits (classes, h, w) that are enlarged bilinearly to `size`; pixel centres aligned.

    A class that is best at four neighbouring cells is best everywhere between them, since what lies between is their
    weighted mean. So only pixels between cells that disagree are interpolated: the outlines of things. The answer is
    that of enlarging all.
    """
    count, height, width = logits.shape
    cells = class_map(logits)
    top, down = _neighbours(height, size[0])
    left, right = _neighbours(width, size[1])
    split = np.zeros((height, width), np.uint8)
    below, beside = np.minimum(np.arange(height) + 1, height - 1), np.minimum(np.arange(width) + 1, width - 1)
    for other in (cells[below], cells[:, beside], cells[below][:, beside]):
        split |= (other != cells).astype(np.uint8)
    mask: Mask = cells[:, left][top]
    between = np.flatnonzero(split[:, left][top])
    flat = np.ascontiguousarray(logits.reshape(count, -1).T)  # (h * w, classes)
    step = max(1, _TILE // count)
    for start in range(0, len(between), step):
        pixels = between[start : start + step]
        y, x = np.divmod(pixels, size[1])
        upper, lower = top[y] * width, np.minimum(top[y] + 1, height - 1) * width
        near, far, share = left[x], np.minimum(left[x] + 1, width - 1), right[x][:, None]
        above = _mix(flat[upper + near], flat[upper + far], share)
        beneath = _mix(flat[lower + near], flat[lower + far], share)
        mask.reshape(-1)[pixels] = _mix(above, beneath, down[y][:, None]).argmax(axis=1)
    return mask


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


def _neighbours(short: int, long: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each of `long` pixels the lower of the two cells it lies between, and the share of the upper one."""
    place = np.clip((np.arange(long) + 0.5) * short / long - 0.5, 0, short - 1)
    lower = place.astype(np.intp)
    return lower, (place - lower).astype(np.float32)


def _mix(a: NDArray[np.float32], b: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (1 - share) * a + share * b, in place of b."""
    b -= a
    b *= share
    b += a
    return b
