"""Levels of more than eight bits to those of a picture: the whole range, or the part of it that is told."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ImageError

SMALLEST_SHARE = 0.25
"""Share of a range of more than 256 levels that a picture must use, unless it is told which part is meant.

What uses less lost two of its eight bits, mostly because it holds 12 or 14 bits in the lower part of 16, or
temperatures: its picture would be dark or grey, and be classified all the same.
"""
_ROWS = 256
"""Rows of floating-point numbers that are converted at a time."""


def to_bytes(pixels: NDArray[Any], white: int, levels: tuple[float, float] | None, name: str) -> NDArray[np.uint8]:
    """Return pixels of any shape and type as 0..255.

    Args:
        pixels: whole or floating-point numbers.
        white: the highest level that there can be; 0 where nothing says it.
        levels: which are black and white, what lies beyond being cut; None for 0 and `white`. Bytes are left as they
            are.
        name: of the picture, for the message.

    Raises:
        ImageError: without `levels`, the range is unknown, or the picture uses a small part of it.
    """
    if pixels.dtype == np.uint8 and white == 255:
        return np.asarray(pixels, np.uint8)
    if levels is None or pixels.dtype == np.uint8:
        return _whole_range(pixels, white, name)
    low, high = levels
    if pixels.dtype == np.uint16:
        return np.asarray(_stretched(np.arange(65536), low, high)[pixels], np.uint8)
    stretched = np.empty(pixels.shape, np.uint8)
    for row in range(0, len(pixels), _ROWS):
        stretched[row : row + _ROWS] = _stretched(pixels[row : row + _ROWS], low, high)
    return stretched


def _stretched(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    # NaN is black
    shares = np.nan_to_num((pixels.astype(np.float64) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.rint(255 * np.clip(shares, 0, 1)), np.uint8)


def _whole_range(pixels: NDArray[Any], white: int, name: str) -> NDArray[np.uint8]:
    lowest, highest = pixels.min(), pixels.max()
    # who stores levels of 16 bits as larger numbers means those of 16 bits
    if white == 0 and np.issubdtype(pixels.dtype, np.integer) and lowest >= 0 and highest <= 65535:
        white = 65535
    if white == 0 or not (lowest >= 0 and highest <= white):
        raise ImageError(
            f"{name} holds {pixels.dtype} levels from {lowest:.6g} to {highest:.6g}, and nothing says which are black "
            "and white; give --levels LOW,HIGH"
        )
    if white > 255 and int(highest) - int(lowest) < SMALLEST_SHARE * (white + 1):
        raise ImageError(
            f"{name} uses only levels {lowest} to {highest} of 0 to {white}; give --levels LOW,HIGH, those that are "
            f"black and white, or --levels 0,{white} to take them as they are"
        )
    table = np.arange(white + 1) * 256 // (white + 1) if white > 255 else np.rint(np.arange(white + 1) * (255 / white))
    return np.asarray(table.astype(np.uint8)[pixels], np.uint8)
