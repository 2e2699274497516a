"""What is really on the images of an export, and how good a model's answers are by it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevit.export.cache import content_key
from edgevit.runtime.datasets.masks import true_classes
from edgevit.runtime.evaluation.segmentation import Confusion
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.images.masks import bilinear_mask

Logits = NDArray[np.float32]
"""(images, classes), or (images, classes, height, width)."""


class GroundTruth(Protocol):
    """The right answers for some images."""

    @property
    def measure(self) -> str:
        """What `score` is, for a reader."""

    @property
    def identity(self) -> str:
        """Digest of the right answers."""

    def score(self, logits: Logits) -> float:
        """Return how good the answers are, 0..1."""

    def part(self, which: slice) -> "GroundTruth":
        """Return those for some of the images."""


@dataclass(frozen=True, eq=False)
class Labels:
    """A class for each image."""

    labels: NDArray[np.int64]
    measure: str = "top-1 accuracy"

    @property
    def identity(self) -> str:
        return content_key(self.labels.tobytes())

    def score(self, logits: Logits) -> float:
        return float(np.mean(logits.argmax(axis=1) == self.labels))

    def part(self, which: slice) -> "Labels":
        return Labels(self.labels[which])


@dataclass(frozen=True)
class Masks:
    """A mask for each image, compared at its own size as the board's runtime would answer."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    """The model's classes."""
    written: tuple[str, ...] = ()
    """Those that the numbers in masks stand for; the model's where nothing tells."""
    measure: str = "mean IoU"

    @property
    def identity(self) -> str:
        return content_key(repr((self.names, self.written)), *(path.read_bytes() for path in self.paths))

    def score(self, logits: Logits) -> float:
        return self.confusion(logits).quality("", labelled=True, compared=False).miou or 0.0

    def confusion(self, logits: Logits) -> Confusion:
        """Return the pixels by class and answer; one mask is in memory at a time.

        Raises:
            ImageError: a mask cannot be read.
            DataError: a mask has a number or a name that is no class.
        """
        sums = Confusion(len(self.names))
        for path, one in zip(self.paths, logits, strict=True):
            drawn = read_mask(path)
            answer = bilinear_mask(one, drawn.shape)
            sums.add(answer, answer, true_classes(path, drawn, drawn.shape, self.names, self.written))
        return sums

    def part(self, which: slice) -> "Masks":
        return replace(self, paths=self.paths[which])


@dataclass(frozen=True, eq=False)
class FloatAnswers:
    """The float model's answers, where no others are known."""

    logits: Logits

    @property
    def measure(self) -> str:
        return f"{'top-1' if self.logits.ndim == 2 else 'pixel'} agreement with float32"

    @property
    def identity(self) -> str:
        return "float32"

    def score(self, logits: Logits) -> float:
        return float(np.mean(logits.argmax(axis=1) == self.logits.argmax(axis=1)))

    def part(self, which: slice) -> "FloatAnswers":
        return FloatAnswers(self.logits[which])
