"""Judging models on a folder of pictures, whatever their task."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from edgevit.errors import OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.image_folder import find_images
from edgevit.runtime.datasets.masks import find_masked_images
from edgevit.runtime.evaluation.classification import validate as validate_classifiers
from edgevit.runtime.evaluation.report import Validation
from edgevit.runtime.evaluation.segmentation import SegmentationValidation, validate_segmentation
from edgevit.runtime.loading import Task, load
from edgevit.runtime.progress import Track
from edgevit.runtime.segmenter import Segmenter

Model = str | os.PathLike[str] | Classifier
"""A model's file, or a model that is open already."""


@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Literal["classify"],
    unlabelled: bool = False,
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
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> SegmentationValidation: ...
@overload
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: None = None,
    unlabelled: bool = False,
    flips: int = 20,
    limit: int | None = None,
    seed: int = 0,
    track: Track = ...,
) -> Validation | SegmentationValidation: ...
def validate(
    models: Model | Sequence[Model],
    data: str | os.PathLike[str],
    *,
    task: Task | None = None,
    unlabelled: bool = False,
    flips: int = 20,
    limit: int | None = None,
    seed: int = 0,
    track: Track = lambda items, label, count: items,
) -> Validation | SegmentationValidation:
    """Judge models on the pictures of a folder; docs/validation.md describes the folder and what is found.

    Args:
        models: one, or several of the same task and classes; the first is what the others are compared with.
        data: a folder with one sub-folder for each class; for segmentation, images/ beside masks/.
        task: "classify" or "segment": what all of them must do; None for whatever they do.
        unlabelled: the sub-folders are no classes: compare answers only.
        flips: how many changed answers of each model to list.
        limit: draw so many pictures at random; None for all.
        seed: decides which.
        track: wraps the loop over pictures, for a progress display.

    Raises:
        OptionError: the models have different tasks or labels.
        DataError: the folder is not as it must be, or no picture can be read.
        ModelFileError: a model cannot be opened, fails, or answers with something that is not a number.
    """
    given = [models] if isinstance(models, str | os.PathLike | Classifier) else list(models)
    folder = Path(data)
    if not given:
        raise OptionError("there is no model to judge; give a file, an open model, or a list of those")
    with contextlib.ExitStack() as leaving:
        named = [
            (repr(model), model)
            if isinstance(model, Classifier)
            else (os.fspath(model), leaving.enter_context(load(model, task=task)))
            for model in given
        ]
        segmenters = [(name, model) for name, model in named if isinstance(model, Segmenter)]
        if segmenters and len(segmenters) < len(named):
            other = next(name for name, model in named if not isinstance(model, Segmenter))
            raise OptionError(f"{other} classifies, others segment; compare models of the same task")
        if segmenters:
            return validate_segmentation(segmenters, find_masked_images(folder, limit=limit, seed=seed), track)
        images = find_images(folder, named[0][1].names, unlabelled=unlabelled, limit=limit, seed=seed)
        return validate_classifiers(named, images, flips, track)
