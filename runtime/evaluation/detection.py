"""How good detectors are on a folder: average precision and counts where boxes are known, else agreement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevit.errors import ImageError
from edgevit.runtime.datasets.judged import Judged
from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes
from edgevit.runtime.detector import Detector
from edgevit.runtime.evaluation.average_precision import LEAST_SCORE, BoxQuality, average_precision
from edgevit.runtime.evaluation.box_difference import BoxDifference, box_difference
from edgevit.runtime.evaluation.common import common_labels, common_levels, describe_pictures, naming, readable
from edgevit.runtime.evaluation.counting import CountQuality, judge_counts
from edgevit.runtime.evaluation.report import FolderReport
from edgevit.runtime.events.labels import LabelRules, Thresholds, read_thresholds
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.progress import Track


@dataclass(frozen=True)
class BoxAgreement:
    """Boxes above the threshold beside those of the first model above its own; of one class, overlapping by half."""

    share: float
    """Share of boxes that both found, of those that either found, 0..1; 1 where neither found any."""
    same: int
    lost: int
    """Boxes that only the first model found."""
    gained: int
    """Boxes that only this one found."""
    changed: tuple[BoxDifference, ...]
    """The pictures with the most of both; no more than were asked for."""


@dataclass(frozen=True)
class DetectionQuality:
    """What was found about one model."""

    model: str
    found: tuple[int, ...]
    """Boxes of each class that reach the model's threshold."""
    precision: BoxQuality | None
    """Judged on all boxes, sure or not; None where the boxes are not known."""
    counts: CountQuality | None
    """Judged on the boxes that reach the model's thresholds; None where the boxes are not known."""
    worst: tuple[BoxDifference, ...]
    """The pictures with the most boxes missed and wrong; no more than were asked for."""
    agreement: BoxAgreement | None
    """None for the first model."""


@dataclass(frozen=True)
class DetectionValidation(FolderReport):
    """The answers of all detectors on one folder."""

    task = "detect"
    models: tuple[DetectionQuality, ...]


def validate_detection(
    models: Sequence[tuple[str, Detector]],
    judged: Judged,
    flips: int = 20,
    threshold: Thresholds = (),
    track: Track = lambda items, label, count: items,
) -> DetectionValidation:
    """Ask every model about every picture; one picture is in memory at a time.

    Args:
        models: (name, model); the first is what the others are compared with.
        judged: the pictures, as `choose_judged` chooses them.
        flips: how many pictures of each model to list: the worst, and the most changed.
        threshold: score from which boxes are counted, as `read_thresholds` reads it; else each model's own.
        track: wraps the loop over pictures, for a progress display.

    Raises:
        OptionError: the models have different labels, or a threshold is of none of them.
        DataError: no picture can be read, or a class of the boxes is no class of the models.
        ModelFileError: a model fails, or answers with something that is not a number.
    """
    names = common_labels(models)
    common, single = read_thresholds(threshold)
    LabelRules(thresholds=single).check_names(names)
    truth = judged.pictures.boxes_by(names)
    levels = common_levels([model.preprocess for _, model in models])
    answers: dict[int, list[FoundBoxes]] = {}
    unreadable: dict[int, str] = {}
    for i in track(range(len(judged.seen)), "validation", len(judged.seen)):
        try:
            image = read_image(judged.pictures.paths[i], levels=levels)
        except ImageError as error:
            unreadable[i] = str(error)
            continue
        answers[i] = [_find(name, model, image) for name, model in models]
    read = readable(judged, unreadable)
    seen = _Seen(
        names,
        tuple(str(path) for path in read.pictures.paths),
        None if truth is None else tuple(truth[i] for i in answers),
        [list(found) for found in zip(*answers.values(), strict=True)],
        [
            [single.get(name, model.thresholds[name] if common is None else common) for name in names]
            for _, model in models
        ],
    )
    return DetectionValidation(
        str(judged.pictures.home),
        truth is not None,
        len(read.seen),
        describe_pictures(read),
        tuple(unreadable.values()),
        names,
        tuple(_quality(seen, number, name, flips) for number, (name, _) in enumerate(models)),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is in the pictures that could be read, and what the models found there."""

    labels: tuple[str, ...]
    sources: tuple[str, ...]
    truth: tuple[TrueBoxes, ...] | None
    """One for each picture."""
    found: list[list[FoundBoxes]]
    """For each model and picture the boxes from LEAST_SCORE on."""
    thresholds: list[list[float]]
    """For each model and class."""

    def counted(self, model: int) -> list[FoundBoxes]:
        """Return the boxes of a model that reach its thresholds."""
        return [boxes.above(self.thresholds[model]) for boxes in self.found[model]]


def _find(name: str, model: Detector, image: RGBImage) -> FoundBoxes:
    with naming(name):
        return model.find(image, threshold=LEAST_SCORE, speed="usual")


def _quality(seen: _Seen, number: int, name: str, flips: int) -> DetectionQuality:
    found, thresholds, counted = seen.found[number], seen.thresholds[number], seen.counted(number)
    classes = np.concatenate([boxes.classes for boxes in counted])
    return DetectionQuality(
        model=name,
        found=tuple(int(count) for count in np.bincount(classes, minlength=len(seen.labels))),
        precision=None if seen.truth is None else average_precision(seen.truth, found, len(seen.labels)),
        counts=None if seen.truth is None else judge_counts(seen.truth, found, thresholds),
        worst=() if seen.truth is None else _largest(_differences(seen, seen.truth, counted), flips),
        agreement=None if number == 0 else _agreement(seen, counted, flips),
    )


def _agreement(seen: _Seen, counted: list[FoundBoxes], flips: int) -> BoxAgreement:
    differences = _differences(seen, seen.counted(0), counted)
    lost, gained = sum(one.missed for one in differences), sum(one.extra for one in differences)
    same = sum(len(one.found) for one in differences) - gained
    every = same + lost + gained
    return BoxAgreement(same / every if every else 1.0, same, lost, gained, _largest(differences, flips))


def _differences(
    seen: _Seen, expected: Sequence[TrueBoxes | FoundBoxes], counted: list[FoundBoxes]
) -> list[BoxDifference]:
    pictures = zip(seen.sources, expected, counted, strict=True)
    return [box_difference(source, there, found, seen.labels) for source, there, found in pictures]


def _largest(differences: list[BoxDifference], most: int) -> tuple[BoxDifference, ...]:
    """Return those with the most boxes that differ, the most first; none in which nothing does."""
    ranked = sorted((one for one in differences if one.size), key=lambda one: -one.size)
    return tuple(ranked[:most])
