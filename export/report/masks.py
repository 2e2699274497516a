"""What a report says of masks: each class's area and quality, and the pictures whose masks an export changed most."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, MaskOutput
from edgevit.export.data.images import ImageSet
from edgevit.export.report.facts import ChangedMask, ClassFacts, MaskFacts
from edgevit.export.report.thumbnails import THUMBNAILS, shrink, thumbnail
from edgevit.export.tasks.ground_truth import Masks
from edgevit.runtime.evaluation.segmentation import Confusion, SegmentationQuality
from edgevit.runtime.images.masks import bilinear_mask, class_map
from edgevit.runtime.images.preprocess import fit
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage

Logits = NDArray[np.float32]
"""(images, classes, height, width)."""


def mask_facts(
    reference: Logits, found: Logits, truth: Masks | None, images: ImageSet, manifest: Manifest
) -> MaskFacts:
    """Compare the float model's and the exported one's answers, one for each image, with each other and with masks.

    Without masks, the exported model's intersections over unions are with the float model's answers, cell by cell.
    """
    cells = [(class_map(before), class_map(after)) for before, after in zip(reference, found, strict=True)]
    sums = Confusion(len(manifest.labels))
    for before, after in cells:
        sums.add(after, before, before.astype(np.intp))
    between = sums.quality("", labelled=True, compared=True)
    assert between.agreement is not None
    agreements = [float((before == after).mean()) for before, after in cells]
    worst = sorted((i for i, share in enumerate(agreements) if share < 1), key=lambda i: agreements[i])
    return MaskFacts(
        against="float32's answers" if truth is None else "the masks",
        agreement=between.agreement,
        classes=_classes(manifest.labels, sums, between, (reference, found), truth),
        changed=tuple(
            _changed(images, i, agreements[i], (reference[i], found[i]), manifest) for i in worst[:THUMBNAILS]
        ),
        changed_images=len(worst),
    )


def _classes(
    labels: tuple[str, ...],
    sums: Confusion,
    between: SegmentationQuality,
    logits: tuple[Logits, Logits],
    truth: Masks | None,
) -> tuple[ClassFacts, ...]:
    """Return the classes that occur, those with the largest area first."""
    areas = sums.table.sum(axis=1) / sums.pixels  # of the float model's answers
    before: Sequence[float | None] = (None,) * len(labels)
    after = between.iou or ()
    if truth is not None:
        before, after = (truth.confusion(one).quality("", labelled=True, compared=False).iou or () for one in logits)
    every = [
        ClassFacts(label, float(area), *ious) for label, area, *ious in zip(labels, areas, before, after, strict=True)
    ]
    present = [one for one in every if one.area > 0 or one.float32 is not None or one.exported is not None]
    return tuple(sorted(present, key=lambda one: -one.area))


def _changed(
    images: ImageSet, index: int, agreement: float, logits: tuple[NDArray[np.float32], ...], manifest: Manifest
) -> ChangedMask:
    assert manifest.pixels is not None
    image = images.images[index]
    small = shrink(fit(read_image(image, levels=manifest.preprocess.levels), manifest.preprocess))
    before, after = (thumbnail(_coloured(small, one, manifest.pixels)) for one in logits)
    source = str(image) if isinstance(image, Path) else f"{images.source} image {index}"
    return ChangedMask(source, agreement, before, after)


def _coloured(image: RGBImage, logits: NDArray[np.float32], pixels: MaskOutput) -> RGBImage:
    """Return the (H, W, 3) picture, half of it the colours of its classes."""
    colours = np.array(pixels.palette, np.uint8)[bilinear_mask(logits, image.shape[:2])]
    return np.asarray(cv2.addWeighted(image, 0.5, colours, 0.5, 0), np.uint8)
