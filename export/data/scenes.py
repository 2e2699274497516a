"""Drawn scenes with exact boxes: ellipses, rectangles and triangles on noisy ground, which anybody may use.

The bundled detector has learnt them beside photographs; they calibrate it, and tests and benchmarks judge by them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import TrueBoxes, areas, no_truth
from edgevit.runtime.images.resample import RGBImage

CLASSES = ("ellipse", "rectangle", "triangle")
SIZE = (240, 320)
"""(height, width) in pixels."""
MOST = 8
"""Objects of a scene; about a tenth of the scenes have none."""
SIDES = (16, 72)
"""Shortest and longest side of an object in pixels."""
MOST_HIDDEN = 0.25
"""Largest share of an object's box that another's may take."""
TRIES = 20
FIRST_CALIBRATING = 200_000
"""Seed of the first scene that calibrates: weights are trained on those from 0, and judged by those from 100,000."""
ENOUGH_SCENES = 64
"""They set ranges as wide as more of them do."""


def draw_scene(seed: int, size: tuple[int, int] = SIZE) -> tuple[RGBImage, TrueBoxes]:
    """Return a scene (*size, 3) and its boxes; the same for the same seed."""
    rng = np.random.default_rng(seed)
    image, taken, classes = _draw_ground(size, rng), no_truth().boxes, []
    count = 0 if rng.random() < 0.1 else int(rng.integers(1, MOST + 1))
    for _ in range(count):
        number = int(rng.integers(len(CLASSES)))
        mask = _draw_free(number, size, rng, taken)
        if mask is None:
            continue
        image[mask] = _color(rng, image)
        taken = np.concatenate((taken, _box(mask)[None]))
        classes.append(number)
    noise = rng.normal(0, rng.uniform(3, 12), image.shape)
    noisy = np.asarray((image + noise).clip(0, 255), np.uint8)
    return noisy, TrueBoxes(taken, np.array(classes, np.int64), np.zeros(len(classes), np.bool_))


def draw_scenes(count: int) -> list[RGBImage]:
    """Return scenes to calibrate with."""
    return [draw_scene(seed)[0] for seed in range(FIRST_CALIBRATING, FIRST_CALIBRATING + count)]


def _draw_ground(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return clouds of a dull colour."""
    coarse = rng.normal(0, 18, (6, 8)).astype(np.float32)
    clouds = np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float64)
    return np.asarray(rng.uniform(70, 180, 3) + clouds[:, :, None], np.float64)


def _color(rng: np.random.Generator, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a colour that is not the ground's."""
    ground = image.mean(axis=(0, 1))
    while True:
        color = rng.uniform(0, 255, 3)
        if np.abs(color - ground).max() > 60:
            return color


def _draw_free(
    number: int, size: tuple[int, int], rng: np.random.Generator, taken: NDArray[np.float32]
) -> NDArray[np.bool_] | None:
    """Return where an object is that hides little of the others; None if there is no room."""
    for _ in range(TRIES):
        height, width = rng.integers(SIDES[0], SIDES[1] + 1, 2)
        top, left = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
        mask = np.zeros(size, np.uint8)
        if number == 0:
            axes = (int(width - 1) // 2, int(height - 1) // 2)
            cv2.ellipse(mask, (int(left) + axes[0], int(top) + axes[1]), axes, 0, 0, 360, 1, -1)
        elif number == 1:
            mask[top : top + height, left : left + width] = 1
        else:
            tip = int(left + rng.integers(width))
            bottom, right = top + height - 1, left + width - 1
            cv2.fillPoly(mask, [np.array([(tip, top), (left, bottom), (right, bottom)], np.int32)], 1)
        if _most_hidden(_box(mask > 0), taken) < MOST_HIDDEN:
            return mask > 0
    return None


def _box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the left, top, right and bottom edge of what is drawn."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _most_hidden(box: NDArray[np.float32], taken: NDArray[np.float32]) -> float:
    """Return the largest share of a box that one of the others takes of it, or it of the other."""
    both = np.concatenate((np.maximum(taken[:, :2], box[:2]), np.minimum(taken[:, 2:], box[2:])), axis=1)
    smaller = np.minimum(areas(taken), areas(box[None]))
    return float((areas(both) / smaller).max(initial=0))
