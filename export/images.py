"""The images that an export calibrates with and is verified on."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact import Preprocess
from edgevit.errors import DataError, ImageError
from edgevit.export.recipe import MIN_CALIBRATION_IMAGES
from edgevit.runtime.images import list_images, read_image
from edgevit.runtime.preprocess import enough_size, preprocess

log = logging.getLogger(__name__)

VERIFICATION_IMAGES = 64

RGBImage = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """Images, as files still to be read or already in memory."""

    source: str
    """"folder", "synthesized", "bundled" or "generated"."""
    images: tuple[Path | RGBImage, ...]
    skipped: int = 0
    """Files that could not be read."""

    def inputs(self, how: Preprocess, batch: int = 1) -> Iterator[NDArray[np.float32]]:
        """Yield model inputs (batch, 3, H, W), reading one batch at a time; the last is filled with repeats."""
        for start in range(0, len(self.images), batch):
            chunk = self.images[start : start + batch]
            chunk = chunk + chunk[-1:] * (batch - len(chunk))
            yield np.stack([preprocess(read_image(image, enough=enough_size(how)), how) for image in chunk])


def folder_images(folder: Path, calibration: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Draw calibration and verification images from a folder, searched recursively, at random but repeatably.

    Unreadable files are skipped and counted. The two sets share images only where there are too few.

    Raises:
        DataError: not a folder, or fewer than MIN_CALIBRATION_IMAGES readable images.
    """
    if not folder.is_dir():
        raise DataError(f"--data {folder} is not a folder; give one that holds images, at any depth")
    files = sorted(list_images(str(folder)))
    order = np.random.default_rng(seed).permutation(len(files))
    readable, skipped = _readable([files[i] for i in order], calibration + VERIFICATION_IMAGES)
    if len(readable) < MIN_CALIBRATION_IMAGES:
        raise DataError(
            f"--data {folder} holds {len(readable)} readable images ({skipped} unreadable); "
            f"give at least {MIN_CALIBRATION_IMAGES}, better 256, like those the model will see"
        )
    rest = readable[calibration:] or readable
    used = ImageSet("folder", tuple(readable[:calibration]), skipped)
    return used, ImageSet("folder", tuple(rest[:VERIFICATION_IMAGES]))


def _readable(files: Sequence[Path], wanted: int) -> tuple[list[Path], int]:
    good: list[Path] = []
    skipped = 0
    for path in files:
        if len(good) == wanted:
            break
        try:
            read_image(path, enough=(32, 32))
        except ImageError as error:
            log.warning("skipped: %s", error)
            skipped += 1
        else:
            good.append(path)
    return good, skipped
