"""Reference boxes of a self-test: what a detector found in a picture, recorded and found again.

Raw answers of an int8 graph differ between two kinds of processors, and which of two overlapping boxes is the surer one
may differ with them. So a recorded box is looked for among all boxes, before any is left out for overlapping another,
and it is found again where one of its class covers the same place and has nearly its score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.cases import ReferenceBox, SelfTests
from edgevit.errors import GateError
from edgevit.runtime.detection.boxes import FoundBoxes, overlaps
from edgevit.runtime.detection.decode import BoxDecoder
from edgevit.runtime.detection.suppress import Limits

RECORDED = 10
"""Boxes recorded of a picture, the surest, whatever their score: a drawn picture seldom shows what a model knows."""
SAME_PLACE = 0.9
"""Intersection over union from which two boxes are the same."""
FLOAT_SCORE = 1e-3
"""By how much a score of a float model may differ."""
INT8_MISSING = 0.2
"""Share of an int8 model's boxes that may be missing: one step of rounding decides between two nearly equal classes."""
SCORE_SHARE = 0.5
"""A score differs by this share of itself at most, so that small scores are compared too."""
_CANDIDATES = 20_000


@dataclass(frozen=True)
class BoxComparison:
    """How the boxes of one picture, or of several, were found again."""

    recorded: int = 0
    missing: int = 0
    score_difference: float = 0.0
    """Largest difference of a score of those that were found."""

    def __add__(self, other: "BoxComparison") -> "BoxComparison":
        return BoxComparison(
            self.recorded + other.recorded,
            self.missing + other.missing,
            max(self.score_difference, other.score_difference),
        )


def record_boxes(decoder: BoxDecoder, outputs: Sequence[NDArray[np.float32]]) -> tuple[ReferenceBox, ...]:
    """Return the surest boxes of one picture's outputs, in pixels of the input."""
    found = decoder.find(outputs, Limits(threshold=0.0, most=RECORDED))
    return tuple(
        ReferenceBox((box[0], box[1], box[2], box[3]), score, index)
        for box, score, index in zip(
            _short(found.boxes).tolist(), _short(found.scores).tolist(), found.classes.tolist(), strict=True
        )
    )


def compare_boxes(
    decoder: BoxDecoder,
    outputs: Sequence[NDArray[np.float32]],
    recorded: Sequence[ReferenceBox],
    tests: SelfTests,
    where: str,
) -> BoxComparison:
    """Look for recorded boxes in one picture's outputs.

    Raises:
        GateError: more are missing than may be.
    """
    if not recorded:
        return BoxComparison()
    found = decoder.find(outputs, Limits(threshold=0.0, overlap=1.0, candidates=_CANDIDATES, most=_CANDIDATES))
    differences = [_difference(box, found, tests.score_tolerance) for box in recorded]
    missing = [box for box, difference in zip(recorded, differences, strict=True) if difference is None]
    if len(missing) > tests.missing_boxes * len(recorded):
        box = missing[0]
        corners = ", ".join(f"{side:.1f}" for side in box.box)
        raise GateError(
            f"self-test failed, {where}: {len(missing)} of {len(recorded)} boxes are not found again, such as class "
            f"{box.index} at {corners} with score {box.score:.4f} within {_allowed(box, tests.score_tolerance):.4f}; "
            "this runtime does not compute what the export measured"
        )
    return BoxComparison(
        len(recorded), len(missing), max((each for each in differences if each is not None), default=0.0)
    )


def _difference(box: ReferenceBox, found: FoundBoxes, tolerance: float) -> float | None:
    """Return by how much the score of the found box differs that is the recorded one; None if there is none."""
    same = (found.classes == box.index) & (overlaps(np.array([box.box], np.float32), found.boxes)[0] >= SAME_PLACE)
    difference = float(np.abs(found.scores[same] - box.score).min(initial=np.inf))
    return difference if difference <= _allowed(box, tolerance) else None


def _allowed(box: ReferenceBox, tolerance: float) -> float:
    return min(tolerance, SCORE_SHARE * box.score + 1e-6)


def _short(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return values with as many digits as a self-test needs."""
    return np.asarray(np.round(values.astype(np.float64), 6), np.float64)
