"""A picture made ready for a model, and how long that took."""

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.images.preprocess import Speed, min_decode_size, preprocess, speed_for
from edgevit.runtime.images.read import read_scaled
from edgevit.runtime.images.resample import RGBImage
from edgevit.schema import check_argument


class Prepared(NamedTuple):
    """A picture as it was decoded, and as a model takes it."""

    image: RGBImage
    """(H, W, 3), decoded at reduced scale perhaps."""
    full_size: tuple[int, int]
    """(height, width) that it has in full, in pixels."""
    values: NDArray[np.float32]
    """(3, height, width) of the model's input."""
    took_ms: float


def prepare(
    source: Any, preprocessing: Preprocess, *, bgr: bool = False, whole: bool = False, speed: Speed | None = None
) -> Prepared:
    """Read and preprocess one picture.

    Args:
        source: as for read_image.
        preprocessing: of the model.
        bgr: arrays hold blue, green, red.
        whole: decode at full size, also where the model's input is much smaller.
        speed: how carefully; None for "fast" of an array, which is a frame then, and "usual" of all else.

    Raises:
        EdgevitError: as read_image; or there is no such speed.
    """
    speed = check_argument(Speed, speed or speed_for(source), "speed")
    start = time.perf_counter()
    least = None if whole else min_decode_size(preprocessing)
    image, full = read_scaled(source, bgr=bgr, min_size=least, levels=preprocessing.levels)
    values = preprocess(image, preprocessing, speed=speed)
    return Prepared(image, full, values, 1e3 * (time.perf_counter() - start))
