"""What the masks of a folder hold, and what a training will say of them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.masks import CLASSES_FILE, IGNORED, check_mask_size, class_numbers, true_classes
from edgevit.runtime.images.mask_png import read_mask


@dataclass(frozen=True)
class MaskSummary:
    """The masks of one part."""

    classes: dict[str, int]
    """Class, or a number that has no name, to how many masks have it."""
    notes: tuple[str, ...]
    """What a training leaves out, refuses, or learns nothing from."""


def summarize_masks(pictures: Pictures, sizes: NDArray[np.int64]) -> MaskSummary:
    """Read the masks of pictures whose (n, 2) upright heights and widths are known, 0 of those that cannot be read."""
    if pictures.masks is None:
        return MaskSummary({}, ())
    names, found = pictures.mask_names, Counter[int]()
    damaged, refused, without, ignored = list[str](), list[str](), list[str](), False
    for path, (height, width) in zip(pictures.masks, sizes.tolist(), strict=True):
        try:
            drawn = read_mask(path)
        except ImageError as error:
            damaged.append(str(error))
            continue
        numbers = class_numbers(drawn)
        found.update(int(number) for number in np.unique(numbers) if number >= 0)
        ignored |= bool((numbers < 0).any())
        if (numbers < 0).all():
            without.append(str(path))
        try:
            if height:
                check_mask_size(path, drawn, (height, width))
            if names:
                true_classes(path, drawn, drawn.shape, names)
        except DataError as error:
            refused.append(str(error))
    told = (
        (damaged, "masks cannot be read, so that training leaves their pictures out"),
        (refused, "masks that training refuses"),
        (without, f"masks whose pixels have no class at all, as {IGNORED} is none"),
    )
    notes = [f"{len(faults)} {text}; the first: {faults[0]}" for faults, text in told if faults]
    if not names:
        notes.append(f"no {CLASSES_FILE} names the classes, which training needs: one a line, as masks number them")
    if len(found) == 1 and ignored:
        notes.append(f"the masks have one class alone, of which nothing can be learnt; {IGNORED} is none")
    others = sorted(number for number in found if number >= len(names))
    named = {name: found[i] for i, name in enumerate(names)}
    return MaskSummary(named | {str(number): found[number] for number in others}, tuple(notes))
