"""Pictures for self-tests and measurements, drawn, not photographed.

Hard diagonal edges of every period show another filter, stretch or crop; three unlike channels show swapped colours; no
axis is symmetric, so mirrored or turned pictures show.
"""

import numpy as np

from edgevit.runtime.images.resample import RGBImage

SIZES = ((1.0, 1.6), (0.7, 0.45), (0.2, 0.31))
"""Pictures' height and width as shares of the model's: wide and larger, tall and smaller, tiny."""
LARGEST = 384
"""Longest side of a picture in pixels, so that the cases of a model with a huge input stay small."""


def draw_pictures(size: tuple[int, int] = (224, 224)) -> list[RGBImage]:
    """Return the pictures that a model of this input size is tested with."""
    pictures = []
    for number, shares in enumerate(SIZES):
        shrink = min(1.0, LARGEST / max(side * share for side, share in zip(size, shares, strict=True)))
        height, width = (max(8, round(shrink * side * share)) for side, share in zip(size, shares, strict=True))
        pictures.append(draw_picture((height, width), seed=number))
    return pictures


def draw_picture(size: tuple[int, int], seed: int) -> RGBImage:
    """Return an (H, W, 3) picture of stripes and discs that is unlike its mirror image and its turned self."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / max(size)  # 0..1
    picture = np.zeros((*size, 3), np.uint8)
    for channel, (slope, level) in enumerate([(0.3, 250), (-1.1, 170), (2.7, 90)]):
        # the stripes get finer towards one side, down to four pixels
        phase = (x + slope * y) * (4 + 0.12 * max(size) * (x if channel != 1 else y))
        picture[:, :, channel] = np.where(np.floor(phase) % 2 == 0, level, 255 - level)
    for _ in range(6):
        (top, left), radius = random.random(2), 0.05 + 0.15 * random.random()
        inside = (y - top * y.max()) ** 2 + (x - left * x.max()) ** 2 < radius**2
        picture[inside] = random.integers(0, 256, 3)
    return picture
