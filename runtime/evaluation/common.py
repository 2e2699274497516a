"""What judging classifiers and segmenters have in common: the same labels, errors that name the model, the pictures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import DataError, ModelFileError, OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.judged import Judged
from edgevit.runtime.evaluation.report import JudgedPictures


def common_labels(models: Sequence[tuple[str, Classifier]]) -> tuple[str, ...]:
    """Return the labels that all models have.

    Raises:
        OptionError: the models have different labels.
    """
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


@contextmanager
def naming(model: str) -> Iterator[None]:
    """Begin the message of a model's error with its name."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{model}: {error}") from error


def readable(judged: Judged, unreadable: Mapping[int, str]) -> Judged:
    """Return the pictures that could be read.

    Args:
        judged: all pictures.
        unreadable: why each other could not be read, by its index.

    Raises:
        DataError: none could be read.
    """
    read = judged.subset([i for i in range(len(judged.seen)) if i not in unreadable])
    if not read.seen:
        reason = next(iter(unreadable.values()))
        raise DataError(f"none of the {len(judged.seen)} images in {judged.pictures.home} can be read: {reason}")
    return read


def describe_pictures(judged: Judged) -> JudgedPictures:
    """Return what a report says of the pictures that it judged on."""
    return JudgedPictures(str(judged), judged.of, judged.trained_on)


def common_levels(preprocessings: Sequence[Preprocess]) -> tuple[float, float] | None:
    """Return the levels that are black and white for all models; OptionError where they differ."""
    distinct = list(dict.fromkeys(preprocessing.levels for preprocessing in preprocessings))
    if len(distinct) != 1:
        found = " and ".join("none" if levels is None else f"{levels[0]:g},{levels[1]:g}" for levels in distinct)
        raise OptionError(f"the models take different levels for black and white: {found}; judge them one by one")
    return distinct[0]
