"""Pictures beside masks: which belong together, and which class each pixel has."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError
from edgevit.runtime.datasets.image_folder import HELD_OUT
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.images.read import SUFFIXES

IGNORED = 255
"""Pixels of this number in an 8-bit mask have no class, and do not count; in a 16-bit one, those of 65535."""


@dataclass(frozen=True)
class MaskedImages:
    """Pictures, and the masks that people drew for them."""

    folder: Path
    paths: tuple[Path, ...]
    masks: tuple[Path, ...] | None
    """None where there are none."""


def find_masked_images(data: Path, *, limit: int | None = None, seed: int = 0) -> MaskedImages:
    """List `data/images` and `data/masks`, where street.png is the mask of street.jpg; or all pictures of `data`.

    Where `data/val` or `data/test` exists, that is used.

    Raises:
        DataError: not a folder, no pictures, or one without a mask.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give one that holds images, at best as images/ beside masks/")
    folder = next((path for name in HELD_OUT if (path := data / name).is_dir()), data)
    masked = (folder / "masks").is_dir() and (folder / "images").is_dir()
    home = folder / "images" if masked else folder
    paths = sorted(path for path in home.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"no image in folder {home} (looked for {' '.join(SUFFIXES)})")
    if limit is not None and limit < len(paths):
        paths = [paths[i] for i in sorted(np.random.default_rng(seed).permutation(len(paths))[:limit])]
    if not masked:
        return MaskedImages(folder, tuple(paths), None)
    masks = [folder / "masks" / path.relative_to(home).with_suffix(".png") for path in paths]
    missing = next((mask for mask in masks if not mask.is_file()), None)
    if missing is not None:
        raise DataError(f"there is no mask {missing}; every picture of {home} needs one of its name")
    return MaskedImages(folder, tuple(paths), tuple(masks))


def mask_of(picture: Path) -> Path | None:
    """Return the mask of a picture below a folder `images` that has a folder `masks` beside it; None for none."""
    home = next((up for up in picture.parents if up.name == "images" and (up.parent / "masks").is_dir()), None)
    if home is None:
        return None
    mask = (home.parent / "masks" / picture.relative_to(home)).with_suffix(".png")
    return mask if mask.is_file() else None


def is_mask(path: Path) -> bool:
    """Tell whether a file lies below a folder `masks` that has a folder `images` beside it."""
    return any(up.name == "masks" and (up.parent / "images").is_dir() for up in path.parents)


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
