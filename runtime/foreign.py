"""Models that edgevit did not export: what must be told about them, and what their metadata may tell."""

import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.artifact.files import FilePath
from edgevit.artifact.manifest import Preprocess
from edgevit.artifact.tflite import NORMALIZATION_KEYS
from edgevit.errors import OptionError
from edgevit.runtime.backends.session import Session
from edgevit.runtime.labels import check_labels, parse_names, read_labels
from edgevit.schema import check_options, read_json

logger = logging.getLogger(__name__)

IMAGENET_MEAN = "0.485,0.456,0.406"
IMAGENET_STD = "0.229,0.224,0.225"
BACKGROUND = "background"
LARGEST_TOLD = 2.0
"""A larger mean or deviation is one of levels 0..255."""


@dataclass(frozen=True)
class UserMetadata:
    """What the user says about a model; None where nothing was said."""

    labels: str | Path | Sequence[str] | None = None
    """The class names, or the path of a labels file."""
    mean: Sequence[float] | None = None
    """Mean of RGB in 0..1."""
    std: Sequence[float] | None = None
    imgsz: int | tuple[int, int] | None = None
    """(height, width), or one number for both."""
    interpolation: str | None = None
    crop_pct: float | None = None
    squash: bool | None = None
    """Whether pictures are scaled to the input without keeping their aspect."""
    bgr: bool | None = None
    """Whether the model takes blue, green, red."""
    levels: Sequence[float] | None = None
    """Which levels of a picture of more than eight bits are black and white."""
    outputs: str | None = None
    """What the model's answers are; see runtime/backends/meaning.py."""
    output: str | None = None
    """The name of the output to take."""

    def __post_init__(self) -> None:
        """Raise OptionError for a value of another type."""
        check_options(self)

    def options(self) -> list[str]:
        """Return the names of what was said."""
        return [name for name, value in vars(self).items() if value is not None]


def foreign_preprocess(path: FilePath, session: Session, told: UserMetadata, metadata: Mapping[str, str]) -> Preprocess:
    """Return the preprocessing of a foreign model.

    Its normalization is what the user says, else what its metadata says, else (of integer inputs) that the levels are
    the picture's own.

    Raises:
        OptionError: something that must be told was not, or does not fit the model.
    """
    limits, channels = session.tensors.limits, session.input_shape[1]
    mean, std = told.mean, told.std
    _check_scale(mean, std)
    if told.bgr and channels == 1:
        raise OptionError(f"{path} takes one channel, brightness, so bgr means nothing; leave it out")
    if mean is None and std is None:
        mean, std = known_normalization(metadata, limits) or (None, None)
    missing = [name for name, value in (("mean", mean), ("std", std)) if value is None]
    if missing:
        raise OptionError(
            f"{path} was not exported by edgevit, so its normalisation is unknown: give {' and '.join(missing)} "
            f"(models trained on ImageNet mostly have --mean {IMAGENET_MEAN} --std {IMAGENET_STD})"
        )
    try:
        preprocessing = Preprocess(
            size=input_size(path, session, told.imgsz),
            interpolation=told.interpolation or "bicubic",
            crop_pct=0.875 if told.crop_pct is None else told.crop_pct,
            crop_mode="squash" if told.squash else "center",
            mean=_three(mean, "mean", channels),
            std=_three(std, "std", channels),
            channels="L" if channels == 1 else "BGR" if told.bgr else "RGB",
            levels=told_levels(told.levels),
        )
    except OptionError:
        raise
    except ValueError as error:
        raise OptionError(str(error)) from error
    if not _fit_limits(preprocessing.mean, preprocessing.std, limits):
        raise OptionError(
            f"mean and std do not fit {path}, which takes {session.tensors.dtype} pixels that stand for {limits}; "
            "leave them out"
        )
    return preprocessing


def told_levels(levels: Sequence[float] | None) -> tuple[float, float] | None:
    """Return the levels that are black and white; OptionError if they are no two such numbers."""
    if levels is None:
        return None
    if len(levels) != 2 or not (math.isfinite(levels[0]) and math.isfinite(levels[1]) and levels[0] < levels[1]):
        raise OptionError(f"levels is {tuple(levels)}, expected those that are black and white, such as 0,4095")
    return float(levels[0]), float(levels[1])


def foreign_labels(path: FilePath, classes: int, told: UserMetadata, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names of a foreign model of so many outputs, as many; one or two where it has a single one.

    Raises:
        OptionError: none are known, or their number is another.
    """
    names = known_labels(told, metadata)
    if names is None:
        raise OptionError(
            f"{path} was not exported by edgevit, so its {classes} class names are unknown: give labels "
            "(--labels FILE, one name a line)"
        )
    names = _fit_background(path, names, classes)
    if classes == 1 and len(names) not in (1, 2):
        raise OptionError(
            f"{len(names)} labels were given, but {path} has one output, a yes or no; give the name of the yes, or "
            "two, those of the no and of the yes"
        )
    if classes != 1 and len(names) != classes:
        raise OptionError(f"{len(names)} labels were given, but {path} has {classes} classes; give one for each")
    return names


def known_normalization(
    metadata: Mapping[str, str], limits: tuple[float, float] | None
) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return mean and deviation as a model's metadata or the limits of its integer input tell; None if neither does."""
    return _described(metadata, limits) or (_own_levels(limits) if limits else None)


def _described(
    metadata: Mapping[str, str], limits: tuple[float, float] | None
) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return mean and deviation from a TFLite file's standard metadata; None if there are none that can be meant.

    Some integer models carry those of another form of the model: then whole channels would lie beyond what the input
    can hold.
    """
    mean, std = (_three_numbers(metadata.get(key, "")) for key in NORMALIZATION_KEYS)
    if mean is None or std is None or min(std) <= 0:
        return None
    return (mean, std) if _fit_limits(mean, std, limits) else None


def _fit_limits(mean: Sequence[float], std: Sequence[float], limits: tuple[float, float] | None) -> bool:
    """Tell whether what becomes of black and of white lies within what an integer input can hold, or nearly."""
    if limits is None:
        return True
    lowest, highest = limits
    slack = 0.05 * (highest - lowest)
    darkest = min(-m / s for m, s in zip(mean, std, strict=True))
    brightest = max((1 - m) / s for m, s in zip(mean, std, strict=True))
    return darkest >= lowest - slack and brightest <= highest + slack


def _three_numbers(text: str) -> tuple[float, float, float] | None:
    """Read a JSON list of three finite numbers; None if it is anything else."""
    try:
        values = read_json(text)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) != 3:
        return None
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        return None
    return float(values[0]), float(values[1]), float(values[2])


def _own_levels(limits: tuple[float, float]) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and deviation that make level 0 of a picture the input's lowest level, and 255 its highest."""
    lowest, highest = limits
    return (-lowest / (highest - lowest),) * 3, (1 / (highest - lowest),) * 3


def _fit_background(path: FilePath, names: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """Add or leave out a first class for the background, which some models trained on ImageNet have."""
    if (len(names), classes) == (1000, 1001):
        logger.warning("%s has 1001 classes for 1000 labels: the first is taken for the background", path)
        return (BACKGROUND, *names)
    if (len(names), classes) == (1001, 1000) and names[0].lower() == BACKGROUND:
        logger.warning("%s has 1000 classes for 1001 labels: the first label, the background, is left out", path)
        return names[1:]
    return names


def known_labels(told: UserMetadata, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names that were given, else those that the file tells; None if there are none."""
    names, text = user_labels(told.labels), metadata.get("names")
    return names if names is not None or not text else parse_names(text) or _parse_numbered(text)


def user_labels(labels: str | os.PathLike[str] | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names that were given, or those in the file whose path was given.

    Raises:
        OptionError: the file cannot be read, or a name is empty or more than a line.
    """
    if labels is None:
        return None
    if isinstance(labels, str | os.PathLike):
        return read_labels(Path(labels))
    return check_labels(tuple(labels), "--labels")


def input_size(path: FilePath, session: Session, imgsz: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return the (height, width) of a model's input: its own, or where it takes any, what is told.

    Raises:
        OptionError: nothing is told, or it does not fit.
    """
    fixed = session.input_shape[2:]
    size = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    if size is None and 0 in fixed:
        raise OptionError(f"{path} takes images of any size; give the one it was trained with (--imgsz 224)")
    if size is not None and any(have not in (0, want) for have, want in zip(fixed, size, strict=True)):
        raise OptionError(f"imgsz is {size}, but {path} takes {fixed} (height, width) only; leave it out")
    return size or (fixed[0], fixed[1])


def _three(values: Sequence[float] | None, name: str, channels: int) -> tuple[float, float, float]:
    if values is not None and len(values) == 1 and channels == 1:
        values = (*values, *values, *values)
    if values is None or len(values) != 3:
        one = ", or one, as it takes one channel" if channels == 1 else ""
        raise OptionError(f"{name} is {values}, expected three numbers, for red, green and blue{one}")
    return float(values[0]), float(values[1]), float(values[2])


def _check_scale(mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Raise OptionError for what is meant for levels of 0..255, or is no number."""
    for name, values in (("mean", mean), ("std", std)):
        wrong = [value for value in values or () if not abs(value) <= LARGEST_TOLD]
        if wrong:
            raise OptionError(
                f"{name} is {', '.join(f'{value:g}' for value in values or ())}, but levels count from 0 to 1 here; "
                "divide by 255"
            )


_NUMBERED = re.compile(r"""\s*([0-9]{1,6})\s*:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*(?:,|$)""")


def _parse_numbered(text: str) -> tuple[str, ...] | None:
    """Read Ultralytics' {0: 'cat', 1: "dog's"} without evaluating it; None if it is anything else."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    names: list[str] = []
    body, position = text[1:-1], 0
    while position < len(body):
        match = _NUMBERED.match(body, position)
        if match is None or int(match[1]) != len(names):
            return None
        names.append(match[2] if match[2] is not None else match[3])
        position = match.end()
    return tuple(names) or None
