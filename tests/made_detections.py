"""Made answers of a detector for the tests of what happens with them."""

from collections.abc import Sequence

import numpy as np

from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, result_record

NAMES = ("hen", "fox", "egg")
SIZE = (120, 160)
Box = tuple[str, float, tuple[float, float, float, float]]
"""Label, score, and left, top, right and bottom."""
BODY = (10.0, 10.0, 50.0, 60.0)


def found(*boxes: Box) -> FoundBoxes:
    ranked = sorted(boxes, key=lambda box: -box[1])
    return FoundBoxes(
        np.array([sides for _, _, sides in ranked], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in ranked], np.float32),
        np.array([NAMES.index(label) for label, _, _ in ranked], np.int64),
    )


def detections(*boxes: Box, weak: Sequence[Box] | None = None, moment: Moment | None = None) -> Detections:
    """Return the answer with these boxes for a grey picture."""
    told = found(*boxes)
    probs = np.zeros(len(NAMES), np.float32)
    np.maximum.at(probs, told.classes, told.scores)
    image = np.full((*SIZE, 3), 114, np.uint8)
    return Detections(
        probs,
        NAMES,
        moment=moment,
        multi_label=True,
        boxes=told.boxes,
        scores=told.scores,
        classes=told.classes,
        weak=None if weak is None else found(*weak),
        image=image,
    )


def counted(moment: Moment | None = None, **counts: int) -> Detections:
    """Return an answer with so many boxes of each class, by their labels."""
    return detections(*((label, 0.9, BODY) for label, count in counts.items() for _ in range(count)), moment=moment)


def record(number: int, answer: Detections, roi: str | None = None, source: str = "camera:0") -> Record:
    """Return the record of an answer, one second after that of the number before."""
    return result_record(answer, Moment(source, number, float(number), 1e9 + number, roi))
