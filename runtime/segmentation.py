"""What a segmentation model answered about one picture."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.images.mask_png import mask_png
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.images.rle import class_runs, compress
from edgevit.runtime.postprocess import softmax
from edgevit.runtime.results import Limit, Result, limit_of
from edgevit.schema import Share, check_argument


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation(Result):
    """The answer for one picture.

    `probs` are the classes' shares of its area, so that rules for events ("bare soil above 30 %") and every sink take
    them as they take a classifier's probabilities; `top1` is the class with the largest area.
    """

    of_areas: ClassVar[bool] = True
    mask: Mask = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    """(H, W) class numbers at the picture's own size; uint8, or uint16 for more than 256 classes."""
    image: RGBImage = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    """(H, W, 3), the picture itself."""
    palette: tuple[tuple[int, int, int], ...] = ()
    """RGB of each class."""
    logits: NDArray[np.float32] | None = None
    """(classes, h, w), one for each cell of the model's stride; None where the graph answers with class numbers."""

    @functools.cached_property
    def areas(self) -> dict[str, float]:
        """Label to per cent of the picture, the largest first; only classes that are there."""
        shares = self.top(len(self.names))
        return {label: 100 * share for label, share in shares if share > 0}

    @functools.cached_property
    def probabilities(self) -> NDArray[np.float32] | None:
        """Return (classes, h, w) probabilities at the model's stride; None where the graph answers with numbers."""
        if self.logits is None:
            return None
        return np.ascontiguousarray(softmax(self.logits.transpose(1, 2, 0)).transpose(2, 0, 1))

    def overlay(self, alpha: float = 0.5) -> RGBImage:
        """Return the picture (H, W, 3), coloured by class; `alpha` 0 is the picture alone, 1 the colours alone.

        Raises:
            OptionError: alpha is no number from 0 to 1.
        """
        alpha = check_argument(Share, alpha, "alpha")
        colours = np.array(self.palette, np.uint8)[self.mask]
        return np.asarray(cv2.addWeighted(self.image, 1 - alpha, colours, alpha, 0), np.uint8)

    def mask_png(self) -> bytes:
        """Return the mask as an indexed PNG: pixels are class numbers."""
        return mask_png(self.mask, self.palette)

    def to_plain_dict(self, k: int = 5, threshold: Limit = 0.0) -> dict[str, Any]:
        return {**super().to_plain_dict(k, threshold), "task": "segment", "size": list(self.mask.shape)}

    def to_costly_dict(self, threshold: Limit = 0.0) -> dict[str, Callable[[], Any]]:
        return {"segments": functools.partial(self.segments, threshold)}

    def segments(self, threshold: Limit = 0.0) -> list[dict[str, Any]]:
        """Return for each class whose share reaches the threshold its run lengths; see docs/results.md.

        Raises:
            OptionError: the threshold is no number from 0 to 1.
        """
        limit = limit_of(threshold)
        size = list(self.mask.shape)
        return [
            {
                "label": self.names[number],
                "index": number,
                "percent": round(100 * float(self.probs[number]), 4),
                "segmentation": {"size": size, "counts": compress(counts)},
            }
            for number, counts in class_runs(self.mask).items()
            if self.probs[number] >= limit(self.names[number])
        ]

    def __str__(self) -> str:
        return ", ".join(f"{label} {percent:.1f} %" for label, percent in self.areas.items())
