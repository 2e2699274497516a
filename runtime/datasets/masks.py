"""Where masks lie, the numbers in them, and the class that each pixel has by them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError
from edgevit.runtime.images.masks import Mask

IGNORED = 255
"""Pixels of this number in an 8-bit mask have no class, and do not count; in a 16-bit one, those of 65535."""
CLASSES_FILE = "classes.txt"
"""In the data folder: the class names, one a line, in the order of the masks' numbers."""


def class_numbers(drawn: Mask) -> NDArray[np.intp]:
    """Return the class that each pixel of a mask is given, -1 for none."""
    return np.where(drawn == _none(drawn), -1, drawn.astype(np.intp))


def find_masks(home: Path) -> tuple[Path, Path] | None:
    """Return the folders of a part's pictures and masks: images/ and masks/ in it, or images/val and masks/val."""
    if all((home / name).is_dir() for name in ("images", "masks")):
        return home / "images", home / "masks"
    apart = home.parent.parent / "masks" / home.name
    return (home, apart) if home.parent.name == "images" and apart.is_dir() else None


def true_classes(path: Path, drawn: Mask, size: tuple[int, ...], classes: int) -> NDArray[np.intp]:
    """Return the class of each pixel of a mask, -1 for none.

    Raises:
        DataError: it is not of the picture's size (height, width), or has a number that is no class.
    """
    if drawn.shape != size:
        raise DataError(f"the mask {path} has {drawn.shape} pixels (height, width), its picture {size}")
    truth = class_numbers(drawn)
    if truth.max() >= classes:
        raise DataError(
            f"the mask {path} has class {int(truth.max())}, but there are {classes} classes (0 to {classes - 1}, "
            f"{_none(drawn)} for none)"
        )
    return truth


def _none(drawn: Mask) -> int:
    """Return the number that stands for no class in a mask of these bits."""
    return IGNORED if drawn.dtype == np.uint8 else np.iinfo(np.uint16).max
