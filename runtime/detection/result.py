"""What a detection model answered about one picture."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, centres
from edgevit.runtime.detection.drawing import draw_boxes
from edgevit.runtime.detection.suppress import MOST
from edgevit.runtime.images.palette import RGB, spread_palette
from edgevit.runtime.images.regions import Region, bounds
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.results import Limit, Result, class_indices, limit_of
from edgevit.schema import Share, check_argument

NOTHING = "nothing"
"""What is said of a picture in which nothing was found."""


@dataclass(frozen=True, eq=False, repr=False)
class Detections(Result):
    """The answer for one picture.

    `probs` holds for each class the score of its surest box, 0 where there is none, so that thresholds of single
    classes, events and every sink take them as they take the answers of a classifier whose labels do not exclude each
    other. `boxes`, `scores` and `classes` have one entry for each object, the surest first.
    """

    boxes: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """(n, 4) left, top, right, bottom in pixels of the picture as it was given, within it."""
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """(n,) how sure the model is of each, 0..1."""
    classes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) index in `names` of each."""
    ids: NDArray[np.int64] | None = None
    """(n,) number of the track that each belongs to, from 1; 0 for a box that belongs to none yet. None without
    tracking."""
    weak: FoundBoxes | None = None
    """Boxes that were left out because their score does not reach the threshold; None where none was asked for. They
    tell that a frame is hard, and count nowhere."""
    image: RGBImage = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    """(H, W, 3), the picture itself; of a huge JPEG that was given as a file at a reduced scale."""
    full_size: tuple[int, int] | None = None
    """(height, width) of the picture in full; None where that is the image's."""
    most: int = MOST
    """How many boxes are told of a picture; where there are as many, there may be more in it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each box."""
        return tuple(self.names[index] for index in self.classes)

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """Label to how many boxes it has, the most first; only classes that are there."""
        return dict(Counter(self.labels).most_common())

    @property
    def headline(self) -> str:
        """The label of which there is most, or "nothing"."""
        return next(iter(self.counts), NOTHING)

    def all_counts(self) -> dict[str, int]:
        """Return how many boxes there are of each class, also of those that are not there."""
        return {name: self.counts.get(name, 0) for name in self.names}

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        return self.full_size or (self.image.shape[0], self.image.shape[1])

    def count(self, label: str | None = None, threshold: float = 0.0, region: Region | None = None) -> int:
        """Return how many boxes there are.

        Args:
            label: of this class only; None for all.
            threshold: whose score reaches it, 0..1.
            region: whose centre lies in it; None for the whole picture.

        Raises:
            OptionError: the model has no such class, the threshold is none, or the region is no Region.
            ImageError: the region reaches beyond the picture.
        """
        return int(self.chosen(label, threshold, region).sum())

    def chosen(
        self, label: str | None = None, threshold: float = 0.0, region: Region | None = None
    ) -> NDArray[np.bool_]:
        """Return for each box whether it is one that `count` counts."""
        kept = self.scores >= check_argument(Share, threshold, "threshold")
        if label is not None:
            self.check_label(label)
            kept &= np.isin(self.classes, class_indices(self.names)[label])
        if region is not None:
            if not isinstance(region, Region):
                raise OptionError(
                    f"--region is {region!r}, expected an edgevit.Region such as Region('gate', 0.1, 0.2, 0.5, 0.5)"
                )
            left, top, right, bottom = bounds(region, self.size)
            x, y = centres(self.boxes).T
            kept &= (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return np.asarray(kept, np.bool_)

    def select(self, kept: NDArray[np.bool_]) -> "Detections":
        """Return the answer with these (n,) boxes alone and no weak ones; the picture stays the whole one."""
        probs = np.zeros_like(self.probs)
        np.maximum.at(probs, self.classes[kept], self.scores[kept])
        return dataclasses.replace(
            self,
            probs=probs,
            boxes=self.boxes[kept],
            scores=self.scores[kept],
            classes=self.classes[kept],
            ids=None if self.ids is None else self.ids[kept],
            weak=None,
        )

    @property
    def palette(self) -> tuple[RGB, ...]:
        """RGB of each class, in which its boxes are drawn."""
        return spread_palette(len(self.names))

    def captions(self) -> list[str]:
        """Return what is written at each box: "hen 0.87", of a track "#3 hen 0.87"."""
        ids = [0] * len(self.scores) if self.ids is None else [int(number) for number in self.ids]
        named = zip(ids, self.labels, self.scores, strict=True)
        return [f"{f'#{number} ' if number else ''}{label} {score:.2f}" for number, label, score in named]

    def overlay(self) -> RGBImage:
        """Return the picture (H, W, 3) with the boxes drawn on it."""
        return self.draw_on(self.image)

    def draw_on(self, image: RGBImage) -> RGBImage:
        """Return a copy of an (h, w, 3) image, which is the picture at any size, with the boxes drawn on it."""
        height, width = self.size
        scale = np.array([image.shape[1] / max(1, width), image.shape[0] / max(1, height)] * 2, np.float32)
        return draw_boxes(image, self.boxes * scale, [self.palette[index] for index in self.classes], self.captions())

    def to_plain_dict(self, k: int = 5, threshold: Limit = 0.0) -> dict[str, Any]:
        plain = super().to_plain_dict(k, threshold)
        limit = limit_of(threshold)
        kept = [i for i, label in enumerate(self.labels) if self.scores[i] >= limit(label)]
        found = [self._box(i) for i in kept]
        counts = dict(Counter(self.names[self.classes[i]] for i in kept).most_common())
        return {**plain, "task": "detect", "size": list(self.size), "counts": counts, "detections": found}

    def _box(self, i: int) -> dict[str, Any]:
        facts: Mapping[str, Any] = {} if self.ids is None else {"id": int(self.ids[i])}
        return {
            "label": self.names[self.classes[i]],
            "index": int(self.classes[i]),
            "conf": round(float(self.scores[i]), 6),
            "box": [round(float(side), 2) for side in self.boxes[i]],
            **facts,
        }

    def __str__(self) -> str:
        return ", ".join(f"{label} {count}" for label, count in self.counts.items()) or NOTHING
