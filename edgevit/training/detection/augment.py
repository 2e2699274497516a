"""Random changes to a picture and its boxes alike: size, place, parts of four pictures in one, flips, colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgevit.runtime.detection.boxes import Boxes, TrueBoxes, areas
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import Box, RGBImage
from edgevit.training.augment import Augmentation, random_colour, random_sharpness
from edgevit.training.schedule import Size

GREY = 114
"""Level of what no picture covers, as on the board."""
LEAST_LEFT = 0.25
"""A box that is cut to less than this share of its area is dropped."""
LEAST_SIDE = 2.0
"""So is one that becomes smaller than so many pixels."""
MIDDLE = (0.25, 0.75)
"""Where the four parts of a mosaic meet, in its height and its width."""


@dataclass(frozen=True)
class MarkedPicture:
    """A picture file and what is in it."""

    path: Path
    truth: TrueBoxes
    """In pixels of the upright picture."""
    size: Size
    """Its (height, width)."""


def augment_boxed(
    pictures: Sequence[MarkedPicture], size: Size, rng: np.random.Generator, augmentation: Augmentation
) -> tuple[RGBImage, TrueBoxes]:
    """Compose one picture, or parts of four, to (*size, 3) with the boxes that are still to be seen.

    Raises:
        ImageError: a picture cannot be read.
    """
    canvas = np.full((*size, 3), GREY, np.uint8)
    windows = _quarters(size, rng) if len(pictures) > 1 else (Box(0, 0, *size),)
    parts = [_place(canvas, *pair, rng, augmentation.zoom) for pair in zip(windows, pictures, strict=True)]
    truth = TrueBoxes(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.crowd for part in parts]),
    )
    flips = (True, augmentation.vertical_flip)
    for axis, possible in zip((1, 0), flips, strict=True):
        if possible and rng.random() < 0.5:
            canvas, truth = np.flip(canvas, axis), _mirrored(truth, size, axis)
    image = np.ascontiguousarray(canvas)
    return (random_sharpness(random_colour(image, rng), rng) if augmentation.looks else image), truth


def choose_others(index: int, count: int, rng: np.random.Generator, mosaic: float) -> list[int]:
    """Return the numbers of the pictures to compose: `index` alone, or with the probability `mosaic` three more."""
    return [index, *(rng.integers(count, size=3).tolist() if rng.random() < mosaic else ())]


def _quarters(size: Size, rng: np.random.Generator) -> tuple[Box, ...]:
    """Return the four windows that meet at a random point of the middle."""
    y, x = (int(side * rng.uniform(*MIDDLE)) for side in size)
    rows, columns = ((0, y), (y, size[0] - y)), ((0, x), (x, size[1] - x))
    return tuple(Box(top, left, height, width) for top, height in rows for left, width in columns)


def _place(
    canvas: RGBImage, window: Box, picture: MarkedPicture, rng: np.random.Generator, zoom: tuple[float, float]
) -> TrueBoxes:
    """Draw a picture of random size at a random place of a window; return its boxes on the canvas."""
    height, width = picture.size
    ratio = min(canvas.shape[0] / height, canvas.shape[1] / width) * rng.uniform(*zoom)
    scaled = max(1, round(height * ratio)), max(1, round(width * ratio))
    image = read_image(picture.path, min_size=scaled)
    shrinks = scaled[0] < image.shape[0]
    image = np.asarray(cv2.resize(image, scaled[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
    top, left = (_shift(room, rng) for room in (window.height - scaled[0], window.width - scaled[1]))
    seen = image[max(0, -top) : window.height - top, max(0, -left) : window.width - left]
    y, x = window.top + max(0, top), window.left + max(0, left)
    canvas[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    scale = np.array([scaled[1] / width, scaled[0] / height] * 2, np.float32)
    moved = picture.truth.boxes * scale + np.array([window.left + left, window.top + top] * 2, np.float32)
    return cut(moved, picture.truth, window)


def _shift(room: int, rng: np.random.Generator) -> int:
    """Return where a picture begins in a window that is so much longer, or, below zero, shorter."""
    return int(rng.integers(min(room, 0), max(room, 0) + 1))


def cut(boxes: Boxes, truth: TrueBoxes, window: Box) -> TrueBoxes:
    """Return the boxes, which are those of `truth` moved, as far as they are to be seen in the window."""
    low = np.array([window.left, window.top] * 2, np.float32)
    high = low + np.array([window.width, window.height] * 2, np.float32)
    seen = np.asarray(np.clip(boxes, low, high), np.float32)
    kept = (areas(seen) >= LEAST_LEFT * areas(boxes)) & ((seen[:, 2:] - seen[:, :2]).min(axis=1) >= LEAST_SIDE)
    return TrueBoxes(seen[kept], truth.classes[kept], truth.crowd[kept])


def _mirrored(truth: TrueBoxes, size: Size, axis: int) -> TrueBoxes:
    """Return the boxes in a picture of `size` that is mirrored along an axis: 0 upside down, 1 left and right."""
    boxes = truth.boxes.copy()
    low, high = (1, 3) if axis == 0 else (0, 2)
    boxes[:, [low, high]] = size[axis] - boxes[:, [high, low]]
    return TrueBoxes(boxes, truth.classes, truth.crowd)
