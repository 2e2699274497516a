"""Pictures with masks: list them, hold some out, and measure a model on them."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.masks import CLASSES_FILE, IGNORED, class_numbers, read_mask_names, true_classes
from edgevit.runtime.datasets.split import Split
from edgevit.runtime.evaluation.segmentation import Confusion
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.images.masks import Mask, bilinear_mask
from edgevit.runtime.images.read import read_image, read_picture
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.accuracy import plain_inputs
from edgevit.training.augment import Augmentation, augment_masked
from edgevit.training.schedule import Size


@dataclass(frozen=True)
class MaskedSamples:
    """Pictures and the masks of their classes."""

    paths: tuple[Path, ...]
    masks: tuple[Path, ...]
    """One for each path: PNG files of class numbers."""
    classes: tuple[str, ...]
    pixels: tuple[int, ...] = field(default=())
    """How many pixels of each class the masks have; empty before they were read."""

    def subset(self, indices: Sequence[int]) -> "MaskedSamples":
        paths, masks = (tuple(files[i] for i in indices) for files in (self.paths, self.masks))
        return MaskedSamples(paths, masks, self.classes, self.pixels)

    def example(
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, NDArray[np.uint8]]:
        """Read and augment one picture and its mask; see batches.Examples."""
        image, drawn = read_image(self.paths[index]), read_mask(self.masks[index])
        return augment_masked(image, _as_labels(drawn), size, rng, augmentation)

    def counts(self) -> tuple[int, ...]:
        """Return the number of pixels of each class."""
        return self.pixels

    def fingerprint(self) -> str:
        """Return a digest of the classes and of each file's name and place in the order, and one of the masks."""
        names = [path.name for path in (*self.paths, *self.masks)]
        return hashlib.sha256("\0".join((*self.classes, *names)).encode()).hexdigest() + self._drawn

    @cached_property
    def _drawn(self) -> str:
        """A digest of what the masks' files hold; of one that cannot be read, nothing."""
        digest = hashlib.sha256()
        for path in self.masks:
            with contextlib.suppress(ImageError):
                digest.update(hashlib.sha256(read_picture(path)).digest())
        return digest.hexdigest()


def _as_labels(drawn: Mask) -> NDArray[np.uint8]:
    """Return a mask in 8 bits, of classes and IGNORED, which -1 becomes."""
    return class_numbers(drawn).astype(np.uint8)


def masked_samples(data: Path, split: Split) -> tuple[MaskedSamples, MaskedSamples]:
    """Return (train, val); `classes.txt` names the classes.

    Raises:
        DataError: the masks or the names are missing, or one of the two would be empty.
        OptionError: the classes cannot be read.
    """
    classes = split.train.mask_names or read_mask_names(data)
    if not classes:
        raise DataError(f"{data} has no {CLASSES_FILE}; write the class names there, one a line, as masks number them")
    if not 2 <= len(classes) < IGNORED:
        raise DataError(f"{data / CLASSES_FILE} has {len(classes)} classes; expected 2 to {IGNORED - 1}")
    train, val = (_samples(part, classes) for part in (split.train, split.held_out))
    if not val.paths or not train.paths:
        raise DataError(
            f"{data}: {len(train.paths)} images to train and {len(val.paths)} held out; add images, or change "
            "--val-fraction"
        )
    return train, val


def _samples(pictures: Pictures, classes: tuple[str, ...]) -> MaskedSamples:
    if pictures.masks is None:
        raise DataError(
            f"{pictures.home} has no masks; put street.jpg into a folder images, street.png into masks beside it"
        )
    return MaskedSamples(pictures.paths, pictures.masks, classes)


def drop_unreadable_masked(
    samples: MaskedSamples, workers: int = 2, progress: Callable[[], None] = lambda: None
) -> tuple[MaskedSamples, tuple[str, ...]]:
    """Read every picture and mask once; return the good ones, with counted pixels, and why each other was left out.

    Raises:
        DataError: a mask has a number that is no class, or another size than its picture.
    """
    classes = len(samples.classes)

    def check(i: int) -> tuple[str, NDArray[np.int64]]:
        none = np.zeros(classes, np.int64)
        try:
            image, mask = read_image(samples.paths[i]), read_mask(samples.masks[i])
        except ImageError as error:
            return str(error), none
        finally:
            progress()
        numbers = true_classes(samples.masks[i], mask, image.shape[:2], samples.classes)
        return "", np.bincount(numbers[numbers >= 0], minlength=classes)

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(check, range(len(samples.paths))))
    good = samples.subset([i for i, (fault, _) in enumerate(found) if not fault])
    total = np.sum([counts for _, counts in found], axis=0)
    pixels = tuple(int(count) for count in total)
    skipped = tuple(fault for fault, _ in found if fault)
    return MaskedSamples(good.paths, good.masks, good.classes, pixels), skipped


@dataclass(frozen=True)
class MaskAccuracy:
    """How well masks are met; shares 0..1."""

    pixel_accuracy: float
    """Share of the pixels with a class that get it."""
    miou: float
    """Mean intersection over union of the classes that occur in a mask or an answer."""
    per_class: dict[str, float]
    """Intersection over union; classes that do not occur are left out."""
    images: int

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures for the log and the header."""
        return {"pixel_accuracy": self.pixel_accuracy, "miou": self.miou}

    @property
    def main_figure(self) -> float:
        """The one by which models are compared."""
        return self.miou

    @property
    def threshold(self) -> None:
        """No score is suggested: the surest class is the answer."""


def measure_masks(
    model: nn.Module,
    samples: MaskedSamples,
    preprocessing: Preprocess,
    *,
    device: str = "cpu",
    bfloat16: bool = False,
    workers: int = 2,
) -> MaskAccuracy:
    """Segment every picture at its own size with `model`, which is left in evaluation mode.

    Raises:
        ImageError: a picture or a mask cannot be read.
    """
    model.eval()
    classes = len(samples.classes)
    sums, place = Confusion(classes), 0
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
        for inputs in plain_inputs(samples, preprocessing, workers, batch=8):
            for logits in model(inputs.to(device)).float().cpu().numpy():
                drawn = read_mask(samples.masks[place])
                answer = bilinear_mask(logits, drawn.shape)
                sums.add(answer, answer, true_classes(samples.masks[place], drawn, drawn.shape, samples.classes))
                place += 1
    found = sums.quality("", labelled=True, compared=False)
    return MaskAccuracy(
        pixel_accuracy=found.pixel_accuracy or 0.0,
        miou=found.miou or 0.0,
        per_class={
            name: round(iou, 4) for name, iou in zip(samples.classes, found.iou or (), strict=True) if iou is not None
        },
        images=len(samples.paths),
    )
