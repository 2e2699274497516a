"""Where masks lie, the numbers in them, and the class that each pixel has by them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError
from edgevit.runtime.datasets.listing import normalized
from edgevit.runtime.datasets.parts import PARTS
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.labels import numbered_labels, read_labels

IGNORED = 255
"""Pixels of this number in an 8-bit mask have no class, and do not count; in a 16-bit one, those of 65535."""
CLASSES_FILE = "classes.txt"
"""In the data folder: the class names, one a line, in the order of the masks' numbers."""
MOST_SHOWN = 5
"""Classes of a model that a message names."""


def class_numbers(drawn: Mask) -> NDArray[np.intp]:
    """Return the class that each pixel of a mask is given, -1 for none."""
    return np.where(drawn == _none(drawn), -1, drawn.astype(np.intp))


def read_mask_names(root: Path) -> tuple[str, ...]:
    """Return the names of the classes by the numbers of masks, of CLASSES_FILE; empty where there is none.

    It lies in the folder, or above one that is a part.

    Raises:
        OptionError: it cannot be read.
    """
    whole = root.absolute()
    above = whole.parents[:2] if any(whole.name in spellings for spellings in PARTS.values()) else ()
    path = next((path for place in (root, *above) if (path := place / CLASSES_FILE).is_file()), None)
    return () if path is None else read_labels(path)


def find_masks(home: Path) -> tuple[Path, Path] | None:
    """Return the folders of a part's pictures and masks: images/ and masks/ in it, or images/val and masks/val."""
    if all((home / name).is_dir() for name in ("images", "masks")):
        return home / "images", home / "masks"
    apart = home.parent.parent / "masks" / home.name
    return (home, apart) if home.parent.name == "images" and apart.is_dir() else None


def check_mask_size(path: Path, drawn: Mask, size: tuple[int, ...]) -> None:
    """Raise DataError unless a mask is of its picture's size (height, width)."""
    if drawn.shape != size:
        turned = "; a photo that its camera turned (Exif) is taken upright" if drawn.shape == size[::-1] else ""
        raise DataError(f"the mask {path} has {drawn.shape} pixels (height, width), its picture {size}{turned}")


def true_classes(
    path: Path, drawn: Mask, size: tuple[int, ...], names: Sequence[str], written: Sequence[str] = ()
) -> NDArray[np.intp]:
    """Return the place in `names` of each pixel's class, -1 for none.

    Args:
        path: the mask's, for messages.
        drawn: the mask.
        size: (height, width) of its picture.
        names: the classes.
        written: those that the mask's numbers stand for, in their order; `names` where nothing tells.
            Where `names` are numbered_labels, as many other names go by their numbers.

    Raises:
        DataError: it is not of the picture's size, or has a number that is no class.
    """
    check_mask_size(path, drawn, size)
    truth, count = class_numbers(drawn), len(written or names)
    if truth.max() >= count:
        raise DataError(
            f"the mask {path} has class {int(truth.max())}, but there are {count} classes (0 to {count - 1}, "
            f"{_none(drawn)} for none)"
        )
    if not written or tuple(written) == tuple(names) or _stand_for_numbers(written, names):
        return truth
    index = {normalized(name): place for place, name in enumerate(names)}
    places = np.array([index.get(normalized(name), -1) for name in written], np.intp)
    if strange := [written[number] for number in np.unique(truth) if number >= 0 and places[number] < 0]:
        raise DataError(
            f"the mask {path} has {', '.join(strange)}, which is no class of the model, whose labels are "
            f"{', '.join(names[:MOST_SHOWN])}{' ...' if len(names) > MOST_SHOWN else ''}; name it so in "
            f"{CLASSES_FILE}, or export the model with --labels"
        )
    return np.where(truth < 0, -1, places[truth])


def _stand_for_numbers(written: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether a model without names of its own has as many classes as are written, none of them by its number."""
    numbered = numbered_labels(len(written))
    return tuple(names) == numbered and set(numbered).isdisjoint(written)


def _none(drawn: Mask) -> int:
    """Return the number that stands for no class in a mask of these bits."""
    return IGNORED if drawn.dtype == np.uint8 else np.iinfo(np.uint16).max
