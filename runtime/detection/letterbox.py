"""From boxes in pixels of a model's input back to boxes in pixels of the picture."""

import numpy as np

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.detection.boxes import Boxes, FoundBoxes
from edgevit.runtime.images.preprocess import scaled_size


def to_picture(
    found: FoundBoxes, picture: tuple[int, int], preprocessing: Preprocess, full: tuple[int, int] | None = None
) -> FoundBoxes:
    """Return what was found in the input, in pixels of the picture of (height, width) that the input was made of.

    Boxes are cut at the picture's edges; what lies beyond them, in what a letterbox leaves free, is left out. If the
    picture was decoded at a reduced scale, boxes are in pixels of what it is in `full`.
    """
    scaled, full = scaled_size(picture, preprocessing), full or picture
    boxes = clip(found.boxes * _ratios(full, scaled), full)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return FoundBoxes(boxes[inside], found.scores[inside], found.classes[inside])


def clip(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Return boxes, cut at the edges of a picture of (height, width)."""
    return np.asarray(np.clip(boxes, 0, np.array([size[1], size[0]] * 2)), np.float32)


def _ratios(picture: tuple[int, int], scaled: tuple[int, int]) -> Boxes:
    """Return how many pixels of the picture one of the input is, for each side of a box.

    Both sides of the picture are rounded to whole pixels when it is scaled, so that each axis has a ratio of its own.
    """
    return np.array([picture[1] / scaled[1], picture[0] / scaled[0]] * 2, np.float32)
