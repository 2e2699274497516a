"""Noisy photos of plain colours in a folder for each class, as training reads them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

COLORS = {"blue": (200, 60, 40), "green": (60, 190, 50), "red": (40, 60, 200)}
"""Mean of the blue, green and red of each class."""


def write_photos(
    folder: Path,
    count: int,
    classes: Sequence[str] = ("blue", "red"),
    *,
    rng: np.random.Generator | None = None,
    suffix: str = ".png",
) -> Path:
    """Write `count` photos of each class, CLASS/0.png and so on, 36 x 40 pixels each; return the folder.

    Args:
        folder: where the classes' folders are made.
        count: photos of each class.
        classes: keys of COLORS.
        rng: draws the noise, so that the parts of one data set differ; None for a fresh one of seed 0.
        suffix: of the files.
    """
    rng = rng or np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(COLORS[name], 25, (36, 40, 3)).clip(0, 255).round().astype(np.uint8)
            assert cv2.imwrite(str(folder / name / f"{number}{suffix}"), pixels)
    return folder
