"""Whether two pictures look alike: a hash of 64 bits that neighbours share."""

import cv2
import numpy as np

from edgevit.runtime.images.resample import RGBImage

ALIKE = 5
"""Bits in which pictures that look alike may differ; different scenes differ in about half of the 64."""


def difference_hash(image: RGBImage) -> int:
    """Return 64 bits of an (H, W, 3) picture: of each of 8 x 8 places, whether it is brighter than its right neighbour.

    The dHash of Neal Krawetz, "Kind of Like That" (2013).
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(small[:, :-1] > small[:, 1:]).tobytes(), "big")


def distance(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()
