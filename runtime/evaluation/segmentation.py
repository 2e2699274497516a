"""How good segmentation models are on a folder: intersection over union where masks are known, else agreement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.judged import Judged
from edgevit.runtime.datasets.masks import true_classes
from edgevit.runtime.evaluation.common import common_labels, common_levels, describe_pictures, naming, readable
from edgevit.runtime.evaluation.metrics import confusion_table
from edgevit.runtime.evaluation.report import FolderReport
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.images.read import read_image
from edgevit.runtime.progress import Track
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.segmenter import Segmenter


@dataclass(frozen=True)
class SegmentationQuality:
    """What was found about one model; shares 0..1."""

    model: str
    areas: tuple[float, ...]
    """Share of all pixels that each class got."""
    miou: float | None
    """Mean over the classes that occur, in a mask or an answer; None without masks."""
    iou: tuple[float | None, ...] | None
    """Intersection over union of each class; None for one that does not occur."""
    pixel_accuracy: float | None
    agreement: float | None
    """Share of pixels with the first model's class; None for the first."""


@dataclass(frozen=True)
class SegmentationValidation(FolderReport):
    """The answers of all segmenters on one folder."""

    task = "segment"
    models: tuple[SegmentationQuality, ...]


class Confusion:
    """Pixels of one model so far."""

    def __init__(self, classes: int) -> None:
        self.areas = np.zeros(classes, np.int64)
        self.table = np.zeros((classes, classes), np.int64)
        """By class (row) and answer (column)."""
        self.equal = self.pixels = 0

    def add(self, mask: Mask, first: Mask, truth: NDArray[np.intp] | None) -> None:
        """Take in an answer, the first model's, and the true classes, -1 where there are none."""
        self.areas += np.bincount(mask.reshape(-1), minlength=len(self.areas))
        self.equal += int((mask == first).sum())
        self.pixels += mask.size
        if truth is not None:
            known = truth >= 0
            self.table += confusion_table(truth[known], mask[known].astype(np.intp), len(self.areas))

    def quality(self, model: str, *, labelled: bool, compared: bool) -> SegmentationQuality:
        """Return what the sums say."""
        own = self.table.diagonal()
        union = self.table.sum(axis=0) + self.table.sum(axis=1) - own
        iou = tuple(float(i / u) if u else None for i, u in zip(own, union, strict=True))
        present = [value for value in iou if value is not None]
        total = int(self.table.sum())
        return SegmentationQuality(
            model=model,
            areas=tuple(float(area / self.pixels) for area in self.areas),
            miou=float(np.mean(present)) if present else None,
            iou=iou if labelled else None,
            pixel_accuracy=float(own.sum() / total) if total else None,
            agreement=self.equal / self.pixels if compared else None,
        )


def validate_segmentation(
    models: Sequence[tuple[str, Segmenter]],
    judged: Judged,
    track: Track = lambda items, label, count: items,
) -> SegmentationValidation:
    """Ask every model about every picture; one picture is in memory at a time.

    Raises:
        OptionError: the models have different labels.
        DataError: no picture can be read, or a mask does not fit its picture or the model.
        ModelFileError: a model fails, or answers with something that is not a number.
    """
    names = common_labels(models)
    pictures = judged.pictures
    sums = [Confusion(len(names)) for _ in models]
    unreadable: dict[int, str] = {}
    for masks, truth in _answers(models, pictures, unreadable, track):
        for total, mask in zip(sums, masks, strict=True):
            total.add(mask, masks[0], truth)
    read = readable(judged, unreadable)
    labelled = pictures.masks is not None
    qualities = tuple(
        total.quality(name, labelled=labelled, compared=i > 0)
        for i, (total, (name, _)) in enumerate(zip(sums, models, strict=True))
    )
    return SegmentationValidation(
        str(pictures.home),
        labelled,
        len(read.seen),
        describe_pictures(read),
        tuple(unreadable.values()),
        names,
        qualities,
    )


def _answers(
    models: Sequence[tuple[str, Segmenter]], pictures: Pictures, unreadable: dict[int, str], track: Track
) -> Iterator[tuple[list[Mask], NDArray[np.intp] | None]]:
    levels = common_levels([model.preprocess for _, model in models])
    for i in track(range(len(pictures.paths)), "validation", len(pictures.paths)):
        try:
            image = read_image(pictures.paths[i], levels=levels)
            drawn = None if pictures.masks is None else read_mask(pictures.masks[i])
        except ImageError as error:
            unreadable[i] = str(error)
            continue
        masks = [_mask(name, model, image) for name, model in models]
        truth = None
        if pictures.masks is not None and drawn is not None:
            truth = true_classes(pictures.masks[i], drawn, masks[0].shape, models[0][1].names, pictures.mask_names)
        yield masks, truth


def _mask(name: str, model: Segmenter, image: NDArray[np.uint8]) -> Mask:
    with naming(name):
        result = model(image, speed="usual")
    assert isinstance(result, Segmentation)
    return result.mask
