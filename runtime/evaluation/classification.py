"""How good models are on a folder of images: accuracy where the classes are known, else agreement with the first."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import ImageError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.judged import Judged
from edgevit.runtime.evaluation.accumulate import Accumulator, Answer, Batch
from edgevit.runtime.evaluation.common import common_labels, common_levels, describe_pictures, naming, readable
from edgevit.runtime.evaluation.report import Validation
from edgevit.runtime.images.preprocess import min_decode_size, preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.progress import Track

BATCH = 16
"""Images held in memory at a time."""


def validate(
    models: Sequence[tuple[str, Classifier]],
    judged: Judged,
    flips: int = 20,
    track: Track = lambda items, label, count: items,
) -> Validation:
    """Ask every model about every image; each image is read once, and memory does not grow with their number.

    An image is decoded for the model with the largest input; see docs/validation.md.

    Args:
        models: (name, model); the first is what the others are compared with.
        judged: the images, as `choose_judged` chooses them.
        flips: how many changed answers of each model to list.
        track: wraps the loop over images, for a progress display.

    Raises:
        OptionError: the models have different labels.
        DataError: no image can be read, or a folder's name is no class of the models.
        ModelFileError: a model fails, or answers with something that is not a number.
    """
    names = common_labels(models)
    labels = judged.pictures.labels(names)
    accumulators = [Accumulator(name, names, labels is not None, flips) for name, _ in models]
    unreadable: dict[int, str] = {}
    order = track(range(len(judged.seen)), "validation", len(judged.seen))
    preprocessings = [model.preprocess for _, model in models]
    for batch in _batches(order, judged.pictures.paths, labels, preprocessings, unreadable):
        answers = [_ask(name, model, batch.inputs[model.preprocess]) for name, model in models]
        for accumulator, answer in zip(accumulators, answers, strict=True):
            accumulator.add(batch, answer, answers[0])
    read = readable(judged, unreadable)
    first, *others = accumulators
    qualities = (first.quality(), *(accumulator.quality(compared=True) for accumulator in others))
    return Validation(
        str(judged.pictures.home),
        labels is not None,
        len(read.seen),
        describe_pictures(read),
        tuple(unreadable.values()),
        names,
        qualities,
    )


def _batches(
    order: Iterable[int],
    paths: Sequence[Path],
    known: Sequence[int] | None,
    preprocessings: Sequence[Preprocess],
    unreadable: dict[int, str],
) -> Iterator[Batch]:
    """Yield what can be read, prepared for each preprocessing; note in `unreadable` why the rest cannot."""
    distinct = list(dict.fromkeys(preprocessings))
    levels = common_levels(preprocessings)
    sizes = [min_decode_size(preprocessing) for preprocessing in distinct]
    min_size = (max(height for height, _ in sizes), max(width for _, width in sizes))
    kept: list[int] = []
    prepared: list[list[NDArray[np.float32]]] = [[] for _ in distinct]

    def batch() -> Batch:
        labels = None if known is None else np.array([known[i] for i in kept])
        inputs = {preprocessing: np.stack(arrays) for preprocessing, arrays in zip(distinct, prepared, strict=True)}
        return Batch(tuple(str(paths[i]) for i in kept), labels, inputs)

    for i in order:
        try:
            image = read_image(paths[i], min_size=min_size, levels=levels)
        except ImageError as error:
            unreadable[i] = str(error)
            continue
        kept.append(i)
        for preprocessing, arrays in zip(distinct, prepared, strict=True):
            arrays.append(preprocess(image, preprocessing))
        if len(kept) == BATCH:
            yield batch()
            kept, prepared = [], [[] for _ in distinct]
    if kept:
        yield batch()


def _ask(name: str, model: Classifier, inputs: NDArray[np.float32]) -> Answer:
    with naming(name):
        outputs = model.outputs(inputs)
        probabilities = model.meaning.probabilities(outputs)
    return Answer(outputs if model.meaning.has_logits else None, probabilities)
