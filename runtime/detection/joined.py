"""Boxes from the one output that other tools know as YOLO's: (4 + classes, places), centres, sides and scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput
from edgevit.errors import ModelFileError
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.decode import CANDIDATES
from edgevit.runtime.detection.suppress import Limits, suppress


@dataclass(frozen=True)
class JoinedBoxes:
    """Knows what such an output means: centre x and y, width and height in pixels of the input, scores 0..1."""

    meaning: BoxOutput
    size: tuple[int, int]
    """(height, width) of the input in pixels."""

    @property
    def threshold(self) -> float:
        return self.meaning.threshold

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        """Raise ModelFileError unless there is one output of this form."""
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 4 + classes:
            shown = ", ".join("x".join(map(str, shape)) for shape in shapes)
            raise ModelFileError(
                f"the model answers with {shown} for a picture, but its document says {4 + classes}xN; export it again"
            )

    def find(self, outputs: Sequence[NDArray[np.float32]], limits: Limits) -> FoundBoxes:
        """Return what was found in one picture, in pixels of the input, the surest first."""
        rows = outputs[0].T
        scores = rows[:, 4:].max(axis=1)
        least = self.threshold if limits.threshold is None else limits.threshold
        order = np.argsort(-scores, kind="stable")[: limits.candidates or CANDIDATES]
        rows, scores = rows[order[scores[order] >= least]], scores[order[scores[order] >= least]]
        half = rows[:, 2:4] / 2
        corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
        overlap = self.meaning.overlap if limits.overlap is None else limits.overlap
        return suppress(corners, scores, rows[:, 4:].argmax(axis=1), overlap, limits.most)
