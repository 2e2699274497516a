"""How good models are on a folder of images: accuracy where the classes are known, else agreement with the first."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import DataError, ImageError, ModelFileError, OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.image_folder import ImageFiles
from edgevit.runtime.evaluation.accumulate import Accumulator, Answer, Batch
from edgevit.runtime.evaluation.report import Validation
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.progress import Track

BATCH = 16
"""Images held in memory at a time."""


def validate(
    models: Sequence[tuple[str, Classifier]],
    images: ImageFiles,
    flips: int = 20,
    track: Track = lambda items, label, count: items,
) -> Validation:
    """Ask every model about every image; each image is read once, and memory does not grow with their number.

    An image is decoded for the model with the largest input; see docs/validation.md.

    Args:
        models: (name, model); the first is what the others are compared with.
        images: as `find_images` lists them.
        flips: how many changed answers of each model to list.
        track: wraps the loop over images, for a progress display.

    Raises:
        OptionError: the models have different labels.
        DataError: no image can be read.
        ModelFileError: a model fails, or answers with something that is not a number.
    """
    names = _common_labels(models)
    accumulators = [Accumulator(name, names, images.labels is not None, flips) for name, _ in models]
    unreadable: list[str] = []
    tracked = track(range(len(images.paths)), "validation", len(images.paths))
    for batch in _batches(tracked, images, [model.preprocess for _, model in models], unreadable):
        answers = [_ask(name, model, batch.inputs[model.preprocess]) for name, model in models]
        for accumulator, answer in zip(accumulators, answers, strict=True):
            accumulator.add(batch, answer, answers[0])
    read = len(images.paths) - len(unreadable)
    if not read:
        raise DataError(f"none of the {len(images.paths)} images in {images.folder} can be read: {unreadable[0]}")
    first, *others = accumulators
    qualities = (first.quality(), *(accumulator.quality(compared=True) for accumulator in others))
    return Validation(str(images.folder), images.labels is not None, read, tuple(unreadable), names, qualities)


def _common_labels(models: Sequence[tuple[str, Classifier]]) -> tuple[str, ...]:
    (first_name, first), *others = models
    for name, model in others:
        if len(model.names) != len(first.names):
            raise OptionError(
                f"{name} has {len(model.names)} classes, but {first_name} has {len(first.names)}; "
                "compare models of the same classes"
            )
        if model.names != first.names:
            at = next(i for i, pair in enumerate(zip(first.names, model.names, strict=True)) if pair[0] != pair[1])
            raise OptionError(
                f"class {at} is {model.names[at]!r} in {name}, but {first.names[at]!r} in {first_name}; compare models "
                "of the same classes, or give --labels FILE for all of them"
            )
    return first.names


def _batches(
    order: Iterable[int], images: ImageFiles, preprocessings: Sequence[Preprocess], unreadable: list[str]
) -> Iterator[Batch]:
    """Yield what can be read, prepared for each of `hows`; append to `unreadable` why the rest cannot."""
    distinct = list(dict.fromkeys(preprocessings))
    levels = common_levels(preprocessings)
    sizes = [min_decode_size(preprocessing) for preprocessing in distinct]
    min_size = (max(height for height, _ in sizes), max(width for _, width in sizes))
    kept: list[int] = []
    prepared: list[list[NDArray[np.float32]]] = [[] for _ in distinct]

    def batch() -> Batch:
        labels = None if images.labels is None else np.array([images.labels[i] for i in kept])
        inputs = {preprocessing: np.stack(arrays) for preprocessing, arrays in zip(distinct, prepared, strict=True)}
        return Batch(tuple(str(images.paths[i]) for i in kept), labels, inputs)

    for i in order:
        try:
            image = read_image(images.paths[i], min_size=min_size, levels=levels)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        kept.append(i)
        for preprocessing, arrays in zip(distinct, prepared, strict=True):
            arrays.append(preprocess(image, preprocessing))
        if len(kept) == BATCH:
            yield batch()
            kept, prepared = [], [[] for _ in distinct]
    if kept:
        yield batch()


def common_levels(preprocessings: Sequence[Preprocess]) -> tuple[float, float] | None:
    """Return the levels that are black and white for all models; OptionError where they differ."""
    distinct = list(dict.fromkeys(preprocessing.levels for preprocessing in preprocessings))
    if len(distinct) != 1:
        found = " and ".join("none" if levels is None else f"{levels[0]:g},{levels[1]:g}" for levels in distinct)
        raise OptionError(f"the models take different levels for black and white: {found}; judge them one by one")
    return distinct[0]


def _ask(name: str, model: Classifier, inputs: NDArray[np.float32]) -> Answer:
    try:
        outputs = model.outputs(inputs)
        probabilities = model.meaning.probabilities(outputs)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    return Answer(outputs if model.meaning.has_logits else None, probabilities)
