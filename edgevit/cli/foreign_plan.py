"""What edgevit would do with a model that it did not export, unless told otherwise; and what it must be told."""

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgevit.artifact.manifest import Preprocess, read_metadata
from edgevit.errors import OptionError
from edgevit.runtime.backends.meaning import OutputMeaning, find_meaning
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.detection.foreign import is_detector, open_detector
from edgevit.runtime.foreign import UserMetadata, foreign_labels, foreign_preprocess

USUAL_SIZE = 224
"""Side in pixels that a model which takes any size is looked at with."""


@dataclass(frozen=True)
class ForeignPlan:
    """How pictures are prepared for a foreign model and its answers read, as far as the file tells."""

    preprocess: Preprocess
    """Its mean and deviation mean nothing unless `normalization_known`, its size unless `size_known`."""
    normalization_known: bool
    size_known: bool
    meaning: OutputMeaning | None
    """None for a detector."""
    labels: tuple[str, ...]
    """Empty where the file does not name its classes."""
    boxes: str = ""
    """What a detector's answers are, in words; empty for a classifier."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The options that must be given."""
        return (
            *(("--labels",) if not self.labels else ()),
            *(("--mean", "--std") if not self.normalization_known else ()),
            *(("--imgsz",) if not self.size_known else ()),
        )

    def to_dict(self) -> dict[str, Any]:
        steps = dataclasses.asdict(self.preprocess)
        unknown = [
            *(("mean", "std") if not self.normalization_known else ()),
            *(("size",) if not self.size_known else ()),
        ]
        return {
            "preprocess": steps | dict.fromkeys(unknown),
            "task": "detect" if self.meaning is None else "classify",
            "classes": len(self.labels) if self.meaning is None else self.meaning.count,
            "outputs": self.boxes if self.meaning is None else self.meaning.meaning,
            "labels": list(self.labels) or None,
            "missing": list(self.missing),
        }


def plan_foreign(path: Path) -> ForeignPlan:
    """Open a foreign model, ask it once about a black picture, and return what was found.

    Raises:
        ModelFileError: it is no model that edgevit can run.
        OptionError: it has several outputs, or is a detector whose file does not name its classes.
        MissingExtraError: the package that runs it is not installed.
    """
    if is_detector(path, read_metadata(path), UserMetadata()):
        return _plan_detector(path)
    with contextlib.closing(open_session(path)) as session:
        metadata = read_metadata(path)
        size_known = 0 not in session.input_shape[2:]
        told = UserMetadata(imgsz=None if size_known else _usual_size(session.input_shape))
        normalization_known = True
        try:
            steps = foreign_preprocess(path, session, told, metadata)
        except OptionError:
            normalization_known = False
            told = dataclasses.replace(told, mean=(0, 0, 0), std=(1, 1, 1))
            steps = foreign_preprocess(path, session, told, metadata)
        count = session.run(np.zeros((1, 3, *steps.size), np.float32)).shape[1]
        meaning = find_meaning(path, session, count)
        labels: tuple[str, ...] = ()
        with contextlib.suppress(OptionError):
            labels = foreign_labels(path, count, UserMetadata(), metadata)
    return ForeignPlan(steps, normalization_known, size_known, meaning, labels)


def _plan_detector(path: Path) -> ForeignPlan:
    opened = open_detector(path, None, UserMetadata(), read_metadata(path))
    with contextlib.closing(opened.session):
        return ForeignPlan(opened.preprocess, True, True, None, opened.labels, str(opened.decoder))


def _usual_size(shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """Return (height, width) with USUAL_SIZE where a side is open."""
    return shape[2] or USUAL_SIZE, shape[3] or USUAL_SIZE
