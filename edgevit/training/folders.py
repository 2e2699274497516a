"""Pictures of classes to labelled samples: sort out the broken ones before they cost an hour."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.listing import SUFFIXES, natural_key, normalized, visible_folders
from edgevit.runtime.datasets.split import Split
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.augment import Augmentation
from edgevit.training.batches import UNLABELLED, training_image
from edgevit.training.schedule import Size


@dataclass(frozen=True)
class Samples:
    """Image files, with a class each or without."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    """Index into `classes`, or UNLABELLED, one for each path."""
    classes: tuple[str, ...]

    def subset(self, indices: Sequence[int]) -> "Samples":
        return Samples(tuple(self.paths[i] for i in indices), tuple(self.labels[i] for i in indices), self.classes)

    def example(
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, int]:
        """Read and augment one image; see batches.Examples."""
        return training_image(self.paths[index], size, rng, augmentation), self.labels[index]

    def with_unlabelled(self, paths: Sequence[Path]) -> "Samples":
        """Return these, and images without a class after them."""
        return Samples((*self.paths, *paths), (*self.labels, *(UNLABELLED for _ in paths)), self.classes)

    def counts(self) -> tuple[int, ...]:
        """Return the number of images of each class."""
        return tuple(self.labels.count(label) for label in range(len(self.classes)))

    def fingerprint(self) -> str:
        """Return a digest of the classes and of each file's class, name and place in the order."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for path, label in zip(self.paths, self.labels, strict=True):
            digest.update(f"{label}\0{path.name}\0".encode())
        return digest.hexdigest()


def labelled_samples(data: Path, split: Split) -> tuple[Samples, Samples]:
    """Return (train, val); the classes are the folders to train on, in natural order.

    Raises:
        DataError: there are fewer than two classes, a class has no image to train on, or none is held out at all.
    """
    parts = (split.train, split.held_out)
    train_classes, val_classes = (part.class_names() for part in parts)
    classes = tuple(sorted({*train_classes, *val_classes}, key=natural_key))
    for home in {part.home for part in parts}:
        empty = [name for name in visible_folders(home) if normalized(name) not in classes]
        if empty:
            raise DataError(f"{home / empty[0]} has no images ({' '.join(SUFFIXES)}); add some or remove it")
    if len(classes) < 2:
        raise DataError(f"{data} holds {len(classes)} class folders; expected at least 2, each with its images")
    if split.record.split == "folder" and (odd := sorted(set(val_classes) - set(train_classes))):
        raise DataError(f"{data}: {', '.join(odd)} in {split.held_out.home.name} only; put images into train, too")
    train, val = (_samples(part, classes) for part in parts)
    if not val.paths or 0 in train.counts():
        raise DataError(
            f"{data}: {len(train.paths)} images to train (fewest in a class: {min(train.counts())}) and "
            f"{len(val.paths)} held out; add images, or change --val-fraction"
        )
    return train, val


def _samples(pictures: Pictures, classes: tuple[str, ...]) -> Samples:
    return Samples(pictures.paths, pictures.labels(classes) or (), classes)


def drop_unreadable(
    samples: Samples, workers: int = 2, progress: Callable[[], None] = lambda: None
) -> tuple[Samples, tuple[str, ...]]:
    """Read every file once, JPEGs at an eighth of their size; return the good ones, and why each other was left out."""

    def check(path: Path) -> str:
        try:
            read_image(path, min_size=(32, 32))
        except ImageError as error:
            return str(error)
        finally:
            progress()
        return ""

    with ThreadPoolExecutor(workers) as pool:
        faults = list(pool.map(check, samples.paths))
    good = samples.subset([i for i, fault in enumerate(faults) if not fault])
    return good, tuple(fault for fault in faults if fault)
