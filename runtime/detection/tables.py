"""From answers that are tables of boxes, as other tools' detectors give them, to boxes in pixels of the input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ModelFileError
from edgevit.runtime.detection.boxes import Boxes, FoundBoxes
from edgevit.runtime.detection.decode import CANDIDATES, LONGEST, cells, shown
from edgevit.runtime.detection.suppress import Limits, suppress

Floats = NDArray[np.float32]

THRESHOLD = 0.25
"""Score from which a box is told, unless the user says another."""
OVERLAP = 0.5
"""Intersection over union from which two boxes of one class are of one object, unless the model's file says another."""

Unit = Literal["pixels", "shares", "strides"]
""""pixels" of the input; "shares" of its sides; "strides": from the cell's corner, with logarithms of the sides."""


@dataclass(frozen=True)
class CentreTable:
    """One output that has for each place x and y of the centre, width, height, and probabilities of the classes."""

    size: tuple[int, int]
    """(height, width) of the input in pixels."""
    classes: int
    unit: Unit = "pixels"
    objectness: bool = False
    """Whether the probability that anything is there stands before those of the classes."""
    columns: bool = False
    """Whether places are the columns of the output, not its rows."""
    strides: tuple[int, ...] = ()
    """Pixels of the input between the places of each level; only for "strides"."""
    threshold: float = THRESHOLD
    overlap: float = OVERLAP
    """Intersection over union above which the less sure of two boxes of one class is left out."""

    def __str__(self) -> str:
        objectness = ", whether anything is there" if self.objectness else ""
        return f"centre and sides in {self.unit}{objectness}, and {self.classes} classes"

    @property
    def width(self) -> int:
        """Numbers of one place."""
        return 4 + self.objectness + self.classes

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        width, axis = self.width - self.classes + classes, 0 if self.columns else 1
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][axis] != width:
            expected = f"{width}xN" if self.columns else f"Nx{width}"
            raise ModelFileError(
                f"the model answers with {shown(shapes)} for a picture, but with {classes} labels that is {expected}; "
                "export it again"
            )

    def find(self, outputs: Sequence[Floats], limits: Limits) -> FoundBoxes:
        table = outputs[0].T if self.columns else outputs[0]
        best = table[:, 5 if self.objectness else 4 :]
        classes = np.asarray(best.argmax(axis=1), np.int64)
        scores = np.take_along_axis(best, classes[:, None], axis=1)[:, 0]
        if self.objectness:
            scores = scores * table[:, 4]
        least = self.threshold if limits.threshold is None else limits.threshold
        order = np.argsort(-scores, kind="stable")[: limits.candidates or CANDIDATES]
        places = order[scores[order] >= least]
        boxes = self._boxes(table[places, :4], places)
        overlap = self.overlap if limits.overlap is None else limits.overlap
        return suppress(boxes, _believed(scores[places]), classes[places], overlap, limits.most)

    def _boxes(self, raw: Floats, places: NDArray[np.intp]) -> Boxes:
        centre, sides = raw[:, :2].astype(np.float64), raw[:, 2:].astype(np.float64)
        if self.unit == "shares":
            scale = np.array([self.size[1], self.size[0]])
            centre, sides = centre * scale, sides * scale
        elif self.unit == "strides":
            cell = cells(self.strides, self.size)[places]
            centre, sides = (centre * cell[:, 2:]) + cell[:, :2], np.exp(np.minimum(sides, LONGEST)) * cell[:, 2:]
        return np.asarray(np.concatenate([centre - sides / 2, centre + sides / 2], axis=1), np.float32)


@dataclass(frozen=True)
class FinishedTable:
    """One output whose rows are left, top, right, bottom, score and class of boxes that are left after suppression."""

    size: tuple[int, int]
    classes: int
    unit: Unit = "pixels"
    threshold: float = THRESHOLD

    def __str__(self) -> str:
        return f"left, top, right and bottom in {self.unit}, score and class, already without overlaps"

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] != 6:
            raise ModelFileError(f"the model answers with {shown(shapes)} for a picture, expected Nx6; export it again")

    def find(self, outputs: Sequence[Floats], limits: Limits) -> FoundBoxes:
        table = outputs[0]
        boxes = table[:, :4] * _scale(self.size, self.unit)
        return _finished(boxes, table[:, 4], table[:, 5], self.classes, self.threshold, limits)


@dataclass(frozen=True)
class SsdOutputs:
    """The four outputs of TFLite_Detection_PostProcess: boxes, classes, scores, and how many of them are meant.

    Boxes are top, left, bottom, right in shares of the input.
    """

    size: tuple[int, int]
    classes: int
    threshold: float = THRESHOLD

    def __str__(self) -> str:
        return "top, left, bottom and right in shares, class and score, already without overlaps"

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        boxes = shapes[0] if shapes else ()
        if len(shapes) != 4 or len(boxes) != 2 or boxes[1] != 4 or list(shapes[1:3]) != [boxes[:1]] * 2:
            raise ModelFileError(f"the model answers with {shown(shapes)} for a picture, expected Nx4, N, N, 1")

    def find(self, outputs: Sequence[Floats], limits: Limits) -> FoundBoxes:
        boxes, classes, scores, count = outputs
        meant = slice(0, max(0, round(float(count.reshape(-1)[0]))))
        corners = boxes[meant][:, [1, 0, 3, 2]] * _scale(self.size, "shares")
        return _finished(corners, scores[meant], classes[meant], self.classes, self.threshold, limits)


def _scale(size: tuple[int, int], unit: Unit) -> Floats:
    return np.array([size[1], size[0]] * 2 if unit == "shares" else [1] * 4, np.float32)


def _finished(
    boxes: Boxes, scores: Floats, numbers: Floats, count: int, threshold: float, limits: Limits
) -> FoundBoxes:
    """Return boxes that the model itself has chosen, but for those that are not sure enough.

    Raises:
        ModelFileError: one is of a class that has no label.
    """
    kept = np.flatnonzero(scores >= (threshold if limits.threshold is None else limits.threshold))
    classes = np.asarray(np.rint(numbers[kept]), np.int64)
    wrong = classes[(classes < 0) | (classes >= count)]
    if len(wrong):
        raise ModelFileError(f"the model answers with class {wrong[0]}, but has {count} labels; give them all")
    overlap = 1.0 if limits.overlap is None else limits.overlap
    return suppress(boxes[kept], _believed(scores[kept]), classes, overlap, limits.most)


def _believed(scores: Floats) -> Floats:
    """Return scores within 0..1: one that is kept as an integer may be a step above."""
    return np.asarray(np.clip(scores, 0, 1), np.float32)
