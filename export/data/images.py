"""The images that an export calibrates with, is verified on, and chooses its precision by."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import DataError, ImageError
from edgevit.export.recipe import MIN_CALIBRATION_IMAGES
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import list_images, read_image

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

    def labels(self, folder: Path, names: Sequence[str]) -> NDArray[np.int64] | None:
        """Return each file's class, the folder under `folder` that bears its name; None unless all files have one."""
        index = {name: i for i, name in enumerate(names)}
        found = [
            next((index[part] for part in image.relative_to(folder).parts[:-1] if part in index), -1)
            for image in self.images
            if isinstance(image, Path)
        ]
        return np.array(found) if len(found) == len(self.images) and -1 not in found else None


@dataclass(frozen=True)
class ExportImages:
    """Three sets that share images only where there are too few."""

    calibration: ImageSet | None
    verification: ImageSet
    evaluation: ImageSet
    """For the search of a precision within a budget."""


def folder_images(
    folder: Path,
    calibration: int,
    evaluation: int,
    seed: int,
    leave_out: Callable[[Path], bool] = lambda path: False,
    levels: tuple[float, float] | None = None,
) -> ExportImages:
    """Draw the three sets from a folder, searched recursively, at random but repeatably.

    Unreadable files are skipped and counted; `leave_out` tells which files are no pictures to use; `levels` as for
    read_image.

    Raises:
        DataError: not a folder, or fewer than MIN_CALIBRATION_IMAGES readable images.
    """
    if not folder.is_dir():
        raise DataError(f"--data {folder} is not a folder; give one that holds images, at any depth")
    files = sorted(path for path in list_images(str(folder)) if not leave_out(path))
    order = np.random.default_rng(seed).permutation(len(files))
    wanted = calibration + max(VERIFICATION_IMAGES, evaluation)
    readable, skipped = _readable([files[i] for i in order], wanted, levels)
    if len(readable) < MIN_CALIBRATION_IMAGES:
        raise DataError(
            f"--data {folder} holds {len(readable)} readable images ({skipped} unreadable); "
            f"give at least {MIN_CALIBRATION_IMAGES}, better 256, like those the model will see"
        )
    rest = tuple(readable[calibration:] or readable)
    return ExportImages(
        ImageSet("folder", tuple(readable[:calibration]), skipped),
        ImageSet("folder", rest[:VERIFICATION_IMAGES]),
        ImageSet("folder", rest[:evaluation]),
    )


def _readable(files: Sequence[Path], wanted: int, levels: tuple[float, float] | None) -> tuple[list[Path], int]:
    good: list[Path] = []
    skipped = 0
    for path in files:
        if len(good) == wanted:
            break
        try:
            read_image(path, min_size=(32, 32), levels=levels)
        except ImageError as error:
            log.warning("skipped: %s", error)
            skipped += 1
        else:
            good.append(path)
    return good, skipped
