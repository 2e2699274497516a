"""Judging models on a folder of pictures, whatever their task."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, cast, overload

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.folder import Layout, read_folder
from edgevit.runtime.datasets.judged import choose_judged
from edgevit.runtime.detector import Detector
from edgevit.runtime.evaluation.classification import validate as validate_classifiers
from edgevit.runtime.evaluation.detection import DetectionValidation, validate_detection
from edgevit.runtime.evaluation.report import Validation
from edgevit.runtime.evaluation.segmentation import SegmentationValidation, validate_segmentation
from edgevit.runtime.events.labels import Thresholds
from edgevit.runtime.loading import Task, load
from edgevit.runtime.progress import Track
from edgevit.runtime.segmenter import Segmenter
from edgevit.schema import check_argument, named

log = logging.getLogger(__name__)

AnyValidation = Validation | SegmentationValidation | DetectionValidation

Model = str | os.PathLike[str] | Classifier
"""A model's file, or a model that is open already."""


@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Literal["classify"],
    unlabelled: bool = False,
    every: bool = False,
    flips: int = 20,
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> Validation: ...
@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Literal["segment"],
    every: bool = False,
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> SegmentationValidation: ...
@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Literal["detect"],
    unlabelled: bool = False,
    every: bool = False,
    flips: int = 20,
    threshold: Thresholds = (),
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> DetectionValidation: ...
@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: None = None,
    unlabelled: bool = False,
    every: bool = False,
    flips: int = 20,
    threshold: Thresholds = (),
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> AnyValidation: ...
@named
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Task | None = None,
    unlabelled: bool = False,
    every: bool = False,
    flips: int = 20,
    threshold: Thresholds = (),
    limit: int | None = None,
    seed: int = 0,
    track: Track = lambda items, label, count: items,
) -> AnyValidation:
    """Judge models on the pictures of a folder that they were not trained on; see docs/validation.md.

    What is not known of the pictures, and which are left out, is logged; `judged` of the result says which were taken.

    Args:
        models: one, or several of the same task and classes; the first is what the others are compared with.
        data: a folder with one sub-folder for each class; for segmentation, images/ beside masks/; for detection,
            pictures with labels as docs/data.md says.
        task: "classify", "segment" or "detect": what all of them must do; None for whatever they do.
        unlabelled: the sub-folders are no classes, or nothing is marked in the pictures: compare answers only.
        every: take all pictures, also those that the models were trained on.
        flips: how many changed answers of each model to list, and wrong ones; for detection, pictures with such.
        threshold: for detection, score from which boxes are counted: 0.4 for all classes, {"hen": 0.4} for one; else
            that of each model's file.
        limit: draw so many pictures at random; None for all.
        seed: decides which.
        track: wraps the loop over pictures, for a progress display.

    Raises:
        OptionError: an option is unknown or wrong, or the models have different tasks or labels.
        DataError: the folder is not as it must be, or no picture can be read.
        ModelFileError: a model cannot be opened, fails, or answers with something that is not a number.
    """
    given = [models] if isinstance(models, str | os.PathLike | Classifier) else models
    if not isinstance(given, Iterable):
        raise OptionError(f"--models is {given!r}, expected a file, an open model, or a list of those")
    given = list(given)
    if not given:
        raise OptionError("there is no model to judge; give a file, an open model, or a list of those")
    with contextlib.ExitStack() as leaving:
        named = [
            (repr(model), model)
            if isinstance(model, Classifier)
            else (os.fspath(model), leaving.enter_context(load(model, task=task)))
            for model in given
        ]
        records = [model.manifest.weights.held_out if model.manifest else None for _, model in named]
        return judge(
            named,
            check_argument(Path, data, "data"),
            records,
            unlabelled=unlabelled,
            every=every,
            flips=flips,
            threshold=threshold,
            limit=limit,
            seed=seed,
            track=track,
        )


def judge(
    named: Sequence[tuple[str, Classifier]],
    data: Path,
    records: Sequence[HeldOut | None],
    *,
    unlabelled: bool,
    every: bool,
    flips: int,
    threshold: Thresholds = (),
    limit: int | None,
    seed: int,
    track: Track,
    tell: Callable[[str], None] = log.warning,
) -> AnyValidation:
    """Judge open models; `records` say what each one's training held out, and `tell` is told of the pictures."""
    task = _common_task(named)
    if threshold != () and task != "detect":
        raise OptionError("--threshold is for models that detect; leave it out")
    folder = read_folder(data, "plain" if unlabelled else LAYOUTS[task], named[0][1].names)
    judged = choose_judged(
        folder, [(name, record) for (name, _), record in zip(named, records, strict=True)], every=every
    )
    judged = judged.draw(limit, seed)
    for note in (*folder.notes(), *judged.notes):
        tell(note)
    if judged.pictures.home != data:
        tell(f"images of {judged.pictures.home}")
    for doubt in judged.doubts:
        tell(f"warning: {doubt}: if it was trained on some of these pictures, its figures are too good")
    more = "" if every or len(judged.seen) == judged.of else f"; --all for all {judged.of:,}"
    tell(f"judged on {judged}{more}")
    if task == "segment":
        return validate_segmentation(cast("Sequence[tuple[str, Segmenter]]", named), judged, track)
    if task == "detect":
        return validate_detection(cast("Sequence[tuple[str, Detector]]", named), judged, flips, threshold, track)
    return validate_classifiers(named, judged, flips, track)


LAYOUTS: dict[str, Layout] = {"classify": "classes", "segment": "masks", "detect": "boxes"}
"""What a task wants to know of each picture."""
DOES = {"classify": "classifies", "segment": "segments", "detect": "detects"}


def _common_task(named: Sequence[tuple[str, Classifier]]) -> str:
    (first_name, first), *others = named
    for name, model in others:
        if model.task != first.task:
            raise OptionError(
                f"{first_name} {DOES[first.task]}, {name} {DOES[model.task]}; compare models of the same task"
            )
    return first.task
