"""Where masks lie, the numbers in them, and the class that each pixel has by them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError
from edgevit.runtime.images.masks import Mask

IGNORED = 255
"""Pixels of this number in an 8-bit mask have no class, and do not count; in a 16-bit one, those of 65535."""


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
    truth = drawn.astype(np.intp)
    truth[(drawn == IGNORED) if drawn.dtype == np.uint8 else (drawn == np.iinfo(np.uint16).max)] = -1
    if truth.max() >= classes:
        raise DataError(
            f"the mask {path} has class {int(truth.max())}, but the model has {classes} classes (0 to {classes - 1}, "
            f"{IGNORED} for none)"
        )
    return truth
