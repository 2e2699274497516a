"""From what a detector found in a picture to what counts: boxes that are sure enough, of the whole and of regions."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.images.regions import Region


def sure_enough(found: Detections, rules: LabelRules, default: float = 0.0) -> Detections:
    """Return the answer with the boxes whose score reaches the threshold of their class; the others are its `weak`.

    Args:
        found: all boxes, with a picture.
        rules: their thresholds, of single classes and of all others; 0 for none.
        default: threshold where the rules have none, 0..1.
    """
    common = rules.threshold or default
    limits = np.array([rules.thresholds.get(name, common) for name in found.names], np.float32)
    kept = found.scores >= limits[found.classes]
    left_out = FoundBoxes(found.boxes[~kept], found.scores[~kept], found.classes[~kept])
    return dataclasses.replace(found.select(kept), weak=left_out)


def by_region(found: Detections, regions: Sequence[Region]) -> list[tuple[Detections, str | None]]:
    """Return the answer for the whole picture, named None, then that of each region with its name.

    A box belongs to each region in which its centre is; its sides stay pixels of the whole picture.

    Raises:
        ImageError: a region reaches beyond the picture.
    """
    parts = [(dataclasses.replace(found.select(found.chosen(region=region)), weak=None), region) for region in regions]
    return [(found, None), *((part, region.name) for part, region in parts)]
