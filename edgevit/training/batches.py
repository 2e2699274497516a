"""Samples to training batches, each a pure function of (seed, step), so that a resumed run continues exactly."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.augment import AUGMENTATIONS, Augmentation, augment
from edgevit.training.schedule import Size

ORDER, IMAGE = 0, 1
"""Random streams of a run: the order of an epoch, and the changes to one image."""

UNLABELLED = -1
"""The label of an image whose class is not known."""


@dataclass(frozen=True, eq=False)
class TaughtLabel:
    """The class of an image, and a teacher's answer about it."""

    label: int
    answer: NDArray[np.float16]
    """(classes of the teacher,): logarithms of probabilities."""


Label = int | NDArray[np.uint8] | TrueBoxes | TaughtLabel
"""The class of an image, perhaps with a teacher's answer, or of each of its pixels, or its boxes."""


class Examples(Protocol):
    """Images and what there is to learn about them."""

    @property
    def paths(self) -> tuple[Path, ...]: ...

    def example(
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, Label]:
        """Read and augment one image: (*size, 3) and its label, mask of labels or boxes, as they lie in `size`."""


def training_batches(
    samples: Examples,
    size: Size,
    batch: int,
    steps: range,
    seed: int,
    workers: int = 2,
    augmentation: Augmentation = AUGMENTATIONS["strong"],
    share: slice = slice(None),
) -> Iterator[tuple[NDArray[np.uint8], tuple[Label, ...]]]:
    """Yield augmented images (B, *size, 3) uint8 RGB and their B labels for each step.

    One batch is read ahead.

    Every epoch visits all images once, in an order of its own; a batch may end one epoch and begin the next, so that
    each has `batch` images. Of these B are in `share`, and the others are not read; what is done at random to an image
    depends on its position in the run, and not on the share.

    Raises:
        ImageError: a file has become unreadable.
    """
    visits = enumerate(visit_order(len(samples.paths), seed, steps.start * batch), steps.start * batch)
    with ThreadPoolExecutor(workers) as pool:

        def submit() -> list[Future[tuple[RGBImage, Label]]]:
            examples = []
            for position, index in list(islice(visits, batch))[share]:
                rng = np.random.default_rng((seed, IMAGE, position))
                examples.append(pool.submit(samples.example, index, size, rng, augmentation))
            return examples

        ahead = submit()
        for step in steps:
            current = ahead
            if step + 1 < steps.stop:
                ahead = submit()
            images, labels = zip(*(example.result() for example in current), strict=True)
            yield np.stack(images), labels


def visit_order(count: int, seed: int, start: int) -> Iterator[int]:
    """Yield, without end, the index of the image at each position of the run from `start` on."""
    epoch, place = divmod(start, count)
    while True:
        order = np.random.default_rng((seed, ORDER, epoch)).permutation(count)
        yield from order[place:].tolist()
        epoch, place = epoch + 1, 0


def training_image(
    path: Path, size: Size, rng: np.random.Generator, augmentation: Augmentation = AUGMENTATIONS["strong"]
) -> RGBImage:
    """Read one image and augment it: (*size, 3) uint8 RGB.

    A large JPEG is decoded at reduced scale, with at least twice as many pixels along each side as are needed, so that
    the smaller crops stay sharp.
    """
    height, width = (math.ceil(side / augmentation.centre) for side in size)
    return augment(read_image(path, min_size=(height, width)), size, rng, augmentation)
