"""Image to input array: the same steps for calibration, verification, self-test and the camera."""

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.images.resample import Box, RGBImage, resample

MARGIN = 2
"""A huge image may first be halved (quickly, by averaging) while it stays this many times larger than its scaled size.

benchmarks/preprocess.py measures what this changes.
"""


Speed = Literal["exact", "usual", "fast"]
""""exact": as Pillow scales, bit by bit. "usual": so, but huge images are first halved. "fast": besides, in float32,
which moves a few of 100,000 values by one level; for frames, of which there are many."""


def preprocess(image: RGBImage, preprocessing: Preprocess, *, speed: Speed = "usual") -> NDArray[np.float32]:
    """Return the (3, height, width) input for an (H, W, 3) image, its channels in the order that the model takes."""
    if preprocessing.channels == "L":
        image = _brightness(image)
    return normalize(fit(image, preprocessing, speed=speed), preprocessing)


def fit(image: RGBImage, preprocessing: Preprocess, *, speed: Speed = "usual") -> RGBImage:
    """Scale an (H, W, 3) image and crop it, or with a letterbox fill it up, to the size of `preprocessing`.

    Sizes and rounding are those of timm's evaluation transform on a Pillow image. So are the levels if `speed` is
    "exact"; otherwise images over MARGIN times the scaled size are first halved.
    """
    fast = speed == "fast"
    if speed != "exact":
        image = _halve(image, MARGIN * np.array(scaled_size(image.shape[:2], preprocessing)))
    size = scaled_size(image.shape[:2], preprocessing)
    if preprocessing.crop_mode != "letterbox":
        return resample(image, size, center_box(size, preprocessing.size), preprocessing.interpolation, fast=fast)
    boxed = np.full((*preprocessing.size, 3), preprocessing.fill, np.uint8)
    boxed[: size[0], : size[1]] = resample(image, size, Box(0, 0, *size), preprocessing.interpolation, fast=fast)
    return boxed


def normalize(image: RGBImage, preprocessing: Preprocess) -> NDArray[np.float32]:
    """Return (3, H, W): RGB in 0..1, less the mean, divided by the deviation, in the order that the model takes."""
    planes: NDArray[np.float32] = np.empty((3, *image.shape[:2]), np.float32)
    figures = zip(cv2.split(image), preprocessing.mean, preprocessing.std, strict=True)
    for channel, (plane, mean, std) in enumerate(figures):
        values = planes[2 - channel if preprocessing.channels == "BGR" else channel]
        values[:] = plane
        # in torchvision's order of operations, so that it rounds alike
        values /= np.float32(255)
        values -= np.float32(mean)
        values /= np.float32(std)
    return planes


def _brightness(image: RGBImage) -> RGBImage:
    """Return the brightness (ITU-R 601) three times, rounded as Pillow's convert("L") does."""
    red, green, blue = (image[:, :, channel].astype(np.uint32) for channel in range(3))
    grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def scaled_size(size: tuple[int, int], preprocessing: Preprocess) -> tuple[int, int]:
    """Return the (height, width) that an image of this size is scaled to before it is cropped or filled up."""
    wanted = min_decode_size(preprocessing)
    if preprocessing.crop_mode == "squash":
        return wanted
    height, width = size
    if preprocessing.crop_mode == "letterbox":
        ratio = min(wanted[0] / height, wanted[1] / width)
        return max(1, round(height * ratio)), max(1, round(width * ratio))
    if wanted[0] == wanted[1]:  # torchvision's Resize: the long side is rounded down
        short = wanted[0]
        return (short, int(short * width / height)) if height <= width else (int(short * height / width), short)
    ratio = min(height / wanted[0], width / wanted[1])  # timm's ResizeKeepRatio: both are rounded to even
    return round(height / ratio), round(width / ratio)


def min_decode_size(preprocessing: Preprocess) -> tuple[int, int]:
    """Return the (height, width) in pixels that an image must cover to be used without enlarging it."""
    return math.floor(preprocessing.size[0] / preprocessing.crop_pct), math.floor(
        preprocessing.size[1] / preprocessing.crop_pct
    )


def center_box(size: tuple[int, int], crop: tuple[int, int]) -> Box:
    """Return the middle of an image of `size`; halves are rounded to even, as torchvision does."""
    return Box(round((size[0] - crop[0]) / 2), round((size[1] - crop[1]) / 2), crop[0], crop[1])


def _halve(image: RGBImage, least: NDArray[np.int_]) -> RGBImage:
    """Average 2x2, 4x4 or 8x8 pixels into one, as long as the result is at least `least` (height, width)."""
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or min(np.array(image.shape[:2]) // f - least) >= 0)
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    whole = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def speed_for(source: Any) -> Speed:
    """Return how carefully to prepare what a caller gave: an array as a frame, all else as a photograph."""
    return "fast" if isinstance(source, np.ndarray) else "usual"
