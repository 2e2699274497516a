"""What a detector found in a picture, for the whole of it and for each of its regions."""

import logging
from collections.abc import Sequence

from edgevit.runtime.detection.merge import MOST
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.images.regions import Region
from edgevit.runtime.results import Result

log = logging.getLogger(__name__)


class FullNotice:
    """Says once in a run that a picture has as many boxes as are told of one, so that its count may be too low."""

    def __init__(self) -> None:
        self._said = False

    def look(self, result: Result) -> None:
        if self._said or not isinstance(result, Detections) or len(result.boxes) < result.most:
            return
        self._said = True
        tiles = f"; with --tiles up to {MOST:,} are" if result.most < MOST else ""
        log.warning(
            "%s: %d things, and no more are told of one picture: there may be more%s", result.source, result.most, tiles
        )


def by_region(found: Detections, regions: Sequence[Region]) -> list[tuple[Detections, str | None]]:
    """Return the answer for the whole picture, named None, then that of each region with its name.

    A box belongs to each region in which its centre is; its sides stay pixels of the whole picture.

    Raises:
        ImageError: a region reaches beyond the picture.
    """
    return [(found, None), *((found.select(found.chosen(region=region)), region.name) for region in regions)]
