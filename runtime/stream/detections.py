"""What a detector found in a picture, for the whole of it and for each of its regions."""

from collections.abc import Sequence

from edgevit.runtime.detection.result import Detections
from edgevit.runtime.images.regions import Region


def by_region(found: Detections, regions: Sequence[Region]) -> list[tuple[Detections, str | None]]:
    """Return the answer for the whole picture, named None, then that of each region with its name.

    A box belongs to each region in which its centre is; its sides stay pixels of the whole picture.

    Raises:
        ImageError: a region reaches beyond the picture.
    """
    return [(found, None), *((found.select(found.chosen(region=region)), region.name) for region in regions)]
