"""The images that an export calibrates with, is verified on, and chooses its precision by."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import ImageError
from edgevit.export.tasks.answers import CLASSES, AnswerForm
from edgevit.export.tasks.ground_truth import GroundTruth
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage

log = logging.getLogger(__name__)

VERIFICATION_IMAGES = 64

ORIGINS = {
    "folder": "from the folder given with --data",
    "bundled": "shipped with the weights, which also calibrate",
    "drawn": "drawn scenes, which also calibrate",
    "synthesized": "made from the weights, which also calibrate",
    "generated": "drawn for the test",
}
"""What an ImageSet's source is to a reader."""


@dataclass(frozen=True)
class ImageSet:
    """Images, as files still to be read or already in memory."""

    source: str
    """"folder", "synthesized", "bundled", "drawn" or "generated"."""
    images: tuple[Path | RGBImage, ...]
    skipped: int = 0
    """Files that could not be read."""
    truth: GroundTruth | None = None
    """What is really on the images; None where it is not known."""
    role: str = ""
    """Whether the images were trained on, for a reader."""

    @property
    def origin(self) -> str:
        """Where the images come from, for a reader."""
        return ORIGINS.get(self.source, self.source) + (f", {self.role}" if self.role else "")

    def part(self, which: slice) -> "ImageSet":
        """Return some of the images."""
        return replace(self, images=self.images[which], truth=None if self.truth is None else self.truth.part(which))

    def inputs(self, preprocessing: Preprocess, batch: int = 1) -> Iterator[NDArray[np.float32]]:
        """Yield model inputs (batch, 3, H, W), reading one batch at a time; the last is filled with repeats."""
        for start in range(0, len(self.images), batch):
            chunk = self.images[start : start + batch]
            chunk = chunk + chunk[-1:] * (batch - len(chunk))
            yield np.stack(
                [
                    preprocess(
                        read_image(image, min_size=min_decode_size(preprocessing), levels=preprocessing.levels),
                        preprocessing,
                    )
                    for image in chunk
                ]
            )

    def digest(self, preprocessing: Preprocess) -> str:
        """Return a hash of the images' content and of how they are prepared."""
        digest = hashlib.sha256(repr(preprocessing).encode())
        for image in self.images:
            content = image.read_bytes() if isinstance(image, Path) else image.tobytes() + repr(image.shape).encode()
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class ExportImages:
    """Three sets; what calibrates is in none of the others where they come from a folder."""

    calibration: ImageSet | None
    verification: ImageSet
    """For the comparison of each step with PyTorch."""
    evaluation: ImageSet
    """For the search of a precision within a budget, and for the accuracy in a report."""


def draw_images(
    pictures: Pictures,
    names: tuple[str, ...],
    wanted: int,
    seed: int,
    role: str = "",
    levels: tuple[float, float] | None = None,
    form: AnswerForm = CLASSES,
) -> ImageSet:
    """Draw at most `wanted` readable pictures at random but repeatably; the others are skipped and counted.

    Args:
        pictures: to draw from.
        names: the model's classes.
        wanted: how many.
        seed: decides which.
        role: see ImageSet.
        levels: as for read_image.
        form: knows what may be known of the pictures.

    Raises:
        DataError: a picture's class is none of the names.
    """
    good: list[int] = []
    skipped = 0
    for i in np.random.default_rng(seed).permutation(len(pictures.paths)).tolist():
        if len(good) == wanted:
            break
        try:
            read_image(pictures.paths[i], min_size=(32, 32), levels=levels)
        except ImageError as error:
            log.warning("skipped: %s", error)
            skipped += 1
        else:
            good.append(i)
    drawn = pictures.subset(good)
    return ImageSet("folder", drawn.paths, skipped, form.truth(drawn, names), role)
