"""Pictures with boxes: what there is to train on and to judge by."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.marks import upright_size
from edgevit.runtime.datasets.split import Split
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.images.read import read_image, read_picture_header
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.augment import Augmentation
from edgevit.training.detection.augment import MarkedPicture, augment_boxed, choose_others
from edgevit.training.schedule import Size


@dataclass(frozen=True)
class BoxedSamples:
    """Pictures and their boxes, in pixels of the upright picture."""

    paths: tuple[Path, ...]
    truth: tuple[TrueBoxes, ...]
    """One for each path."""
    classes: tuple[str, ...]
    sizes: tuple[Size, ...] = ()
    """(height, width) of each upright picture; empty before they were read."""

    def subset(self, indices: Sequence[int]) -> Self:
        return replace(
            self,
            paths=tuple(self.paths[i] for i in indices),
            truth=tuple(self.truth[i] for i in indices),
            sizes=tuple(self.sizes[i] for i in indices) if self.sizes else (),
        )

    def example(
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, TrueBoxes]:
        """Read and augment one picture, perhaps with parts of three others; see batches.Examples."""
        chosen = choose_others(index, len(self.paths), rng, augmentation.mosaic)
        pictures = [MarkedPicture(self.paths[i], self.truth[i], self.sizes[i]) for i in chosen]
        return augment_boxed(pictures, size, rng, augmentation)

    def counts(self) -> tuple[int, ...]:
        """Return the number of boxes of each class, those of crowds aside."""
        every = [truth.classes[~truth.crowd] for truth in self.truth]
        numbers = np.concatenate(every) if every else np.zeros(0, np.int64)
        return tuple(np.bincount(numbers, minlength=len(self.classes)).tolist())

    def fingerprint(self) -> str:
        """Return a digest of the classes, of each file's name and boxes, and of their order."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for path, truth in zip(self.paths, self.truth, strict=True):
            digest.update(f"\0{path.name}\0".encode())
            for array in (truth.boxes, truth.classes, truth.crowd):
                digest.update(array.tobytes())
        return digest.hexdigest()


def boxed_samples(data: Path, split: Split) -> tuple[BoxedSamples, BoxedSamples]:
    """Return (train, val).

    Raises:
        DataError: the boxes are missing, or one of the two would be empty.
    """
    classes = split.train.box_names
    train, val = (_samples(part, classes) for part in (split.train, split.held_out))
    if not train.paths or not val.paths:
        raise DataError(
            f"{data}: {len(train.paths)} images to train and {len(val.paths)} held out; add images, or change "
            "--val-fraction"
        )
    for samples, what in ((train, "to train on"), (val, "held out")):
        if not sum(samples.counts()):
            raise DataError(f"{data}: none of the {len(samples.paths)} images {what} has a box; mark what is there")
    return train, val


def _samples(pictures: Pictures, classes: tuple[str, ...]) -> BoxedSamples:
    boxes = pictures.boxes_by(classes)
    if boxes is None:
        raise DataError(
            f"{pictures.home} has no boxes; put YOLO's text files, a COCO json or Pascal VOC's xml files there, see "
            "docs/training.md"
        )
    return BoxedSamples(pictures.paths, boxes, classes)


def drop_unreadable_boxed(
    samples: BoxedSamples, workers: int = 2, progress: Callable[[], None] = lambda: None
) -> tuple[BoxedSamples, tuple[str, ...]]:
    """Read every picture once; return the good ones, with their sizes, and why each other was left out."""

    def check(path: Path) -> tuple[str, Size]:
        try:
            read_image(path, min_size=(32, 32))
            return "", upright_size(read_picture_header(path))
        except ImageError as error:
            return str(error), (0, 0)
        finally:
            progress()

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(check, samples.paths))
    sized = BoxedSamples(samples.paths, samples.truth, samples.classes, tuple(size for _, size in found))
    good = sized.subset([i for i, (fault, _) in enumerate(found) if not fault])
    return good, tuple(fault for fault, _ in found if fault)
