"""Is the picture fit to be judged: brightness, sharpness, and whether it moves at all."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.images.resample import RGBImage

WIDTH = 320
"""Pixels across to which a picture is scaled before it is measured, so that limits hold for every camera."""

Gray = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImageQuality:
    """What was measured in one picture."""

    brightness: float
    """Mean of the grey picture, 0 (black) to 1 (white)."""
    sharpness: float
    """Variance of the Laplacian of the grey picture WIDTH pixels wide."""
    sample: Gray
    """About WIDTH pixels across, picked from the picture and not averaged: what `change` compares."""


def measure(image: RGBImage) -> ImageQuality:
    """Measure an (H, W, 3) image.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy: a
    comparative study, ICPR 2000): a blurred picture has no fine edges. Eleven photographs of scikit-image gave 285 to
    3760 (a telescope's moon 51), and 2 to 22 after a Gaussian blur of 2 pixels at this width.
    """
    step = max(1, image.shape[1] // WIDTH)
    gray: Gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    sample = np.ascontiguousarray(gray[::step, ::step])
    if step > 1:
        height = max(1, round(gray.shape[0] * WIDTH / gray.shape[1]))
        gray = np.asarray(cv2.resize(gray, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return ImageQuality(float(cv2.mean(gray)[0]) / 255, float(deviation[0, 0]) ** 2, sample)


def change(before: Gray, after: Gray) -> float:
    """Return the mean absolute difference of two samples, 0..1; 1 if their sizes differ.

    A sensor's noise alone keeps it above 0.001, the tolerance of FFmpeg's freezedetect filter; a deviation of one grey
    level gives 2 / sqrt(pi) / 255 = 0.0044. Averaging pixels would hide that noise, which is why samples are picked.
    """
    if before.shape != after.shape:
        return 1.0
    difference: Any = cv2.mean(cv2.absdiff(before, after))
    return float(difference[0]) / 255
