"""What a report says of boxes: how many an export lost and brought, and the pictures where it changed most."""

from pathlib import Path

from edgevit.artifact.manifest import Manifest
from edgevit.export.data.images import ImageSet
from edgevit.export.report.boxes import box_svg
from edgevit.export.report.facts import BoxFacts, ChangedBoxes
from edgevit.export.report.thumbnails import THUMBNAILS
from edgevit.export.tasks.answers import Answers
from edgevit.export.tasks.boxes import BoxForm, MarkedBoxes
from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes
from edgevit.runtime.detection.letterbox import to_picture
from edgevit.runtime.evaluation.box_difference import box_difference
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage


def box_facts(
    form: BoxForm,
    reference: Answers,
    found: Answers,
    truth: MarkedBoxes | None,
    images: ImageSet,
    manifest: Manifest,
) -> BoxFacts:
    """Compare the float model's and the exported one's boxes, picture by picture, and draw the most changed."""
    pairs = [_find(form, before, after) for before, after in zip(reference, found, strict=True)]
    between = [box_difference("", *pair, manifest.labels) for pair in pairs]
    order = sorted((i for i, one in enumerate(between) if one.size), key=lambda i: -between[i].size)
    return BoxFacts(
        against="float32's boxes" if truth is None else "the marked boxes",
        found=sum(len(before.boxes) for before, _ in pairs),
        lost=sum(one.missed for one in between),
        new=sum(one.extra for one in between),
        changed=tuple(
            _changed(images, i, pairs[i], None if truth is None else truth.boxes[i], manifest)
            for i in order[:THUMBNAILS]
        ),
        changed_images=len(order),
    )


def _find(form: BoxForm, before: Answers, after: Answers) -> tuple[FoundBoxes, FoundBoxes]:
    return form.find(before, form.meaning.threshold), form.find(after, form.meaning.threshold)


def _changed(
    images: ImageSet, index: int, pair: tuple[FoundBoxes, FoundBoxes], truth: TrueBoxes | None, manifest: Manifest
) -> ChangedBoxes:
    given = images.images[index]
    source = str(given) if isinstance(given, Path) else f"{images.source} image {index}"
    image: RGBImage = read_image(given, levels=manifest.preprocess.levels)
    before, after = (to_picture(one, image.shape[:2], manifest.preprocess) for one in pair)
    between = box_difference(source, before, after, manifest.labels)
    drawn = [between]
    if truth is not None:
        drawn = [box_difference(source, truth, one, manifest.labels) for one in (before, after)]
    pictures = tuple(box_svg(image, one) for one in drawn)
    return ChangedBoxes(drawn[0] if truth is not None else None, drawn[-1], between.missed, between.extra, pictures)
