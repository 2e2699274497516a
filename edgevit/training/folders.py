"""Image folders to labelled files: list them, hold some out, and sort out the broken ones before they cost an hour."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevit.errors import DataError, ImageError
from edgevit.runtime.images.read import SUFFIXES, read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.augment import Augmentation
from edgevit.training.batches import training_image


@dataclass(frozen=True)
class Samples:
    """Labelled image files."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    """Index into `classes`, one for each path."""
    classes: tuple[str, ...]

    def subset(self, indices: Sequence[int]) -> "Samples":
        return Samples(tuple(self.paths[i] for i in indices), tuple(self.labels[i] for i in indices), self.classes)

    def example(
        self, index: int, size: int, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, int]:
        """Read and augment one image; see batches.Examples."""
        return training_image(self.paths[index], size, rng, augmentation), self.labels[index]

    def counts(self) -> tuple[int, ...]:
        """Return the number of images of each class."""
        return tuple(self.labels.count(label) for label in range(len(self.classes)))

    def fingerprint(self) -> str:
        """Return a digest of the classes and of each file's class, name and place in the order."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for path, label in zip(self.paths, self.labels, strict=True):
            digest.update(f"{label}\0{path.name}\0".encode())
        return digest.hexdigest()


def read_image_folder(folder: Path) -> Samples:
    """List `folder/<class>/**/<image>`; classes are the sub-folders' names in sorted order.

    Raises:
        DataError: the folder has fewer than two classes, or a class has no image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected one sub-folder of images for each class")
    classes = tuple(
        sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    )
    if len(classes) < 2:
        raise DataError(f"{folder} holds {len(classes)} class folders; expected at least 2, each with its images")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{folder / name} has no images ({' '.join(SUFFIXES)}); add some or remove it")
        paths += files
        labels += [label] * len(files)
    return Samples(tuple(paths), tuple(labels), classes)


def split_train_val(data: Path, val_fraction: float) -> tuple[Samples, Samples]:
    """Return (train, val): the folders `train` and `val` if both exist, else a split by hash of the file's path.

    The hash keeps each image on its side when more images are added later.

    Raises:
        DataError: as `read_image_folder`; or train and val differ in their classes; or one of them would be empty.
    """
    if (data / "train").is_dir():
        train = read_image_folder(data / "train")
        if (data / "val").is_dir():
            val = read_image_folder(data / "val")
            if val.classes != train.classes:
                odd = sorted(set(train.classes) ^ set(val.classes))
                raise DataError(f"{data}: {', '.join(odd)} in only one of train and val; give both the same classes")
            return train, val
        data = data / "train"
    samples = read_image_folder(data)
    held_out = [unit_hash(path.relative_to(data).as_posix()) < val_fraction for path in samples.paths]
    train = samples.subset([i for i, out in enumerate(held_out) if not out])
    val = samples.subset([i for i, out in enumerate(held_out) if out])
    if not val.paths or 0 in train.counts():
        raise DataError(
            f"{data}: {len(train.paths)} images to train (fewest in a class: {min(train.counts())}) and "
            f"{len(val.paths)} to validate after holding out {val_fraction:.0%}; add images, or change --val-fraction"
        )
    return train, val


def unit_hash(text: str) -> float:
    """Return a number in 0..1 that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def drop_unreadable(
    samples: Samples, workers: int = 2, progress: Callable[[], None] = lambda: None
) -> tuple[Samples, tuple[str, ...]]:
    """Read every file once, JPEGs at an eighth of their size; return the good ones, and why each other was left out.

    Raises:
        DataError: a class has no readable image.
    """

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
    skipped = tuple(fault for fault in faults if fault)
    for name, before, after in zip(samples.classes, samples.counts(), good.counts(), strict=True):
        if before and not after:
            raise DataError(f"class {name}: none of its {before} images can be read ({skipped[0]}); replace them")
    return good, skipped
