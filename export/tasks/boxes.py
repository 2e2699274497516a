"""Answers of detectors: raw numbers of many places, side by side; what they mean, and how two of them are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput, BoxParity, Parity, Precision, Preprocess
from edgevit.export.cache import content_key
from edgevit.export.tasks.answers import TINY, Answers, Gate
from edgevit.export.tasks.ground_truth import GroundTruth
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.datasets.marks import upright_size
from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes
from edgevit.runtime.detection.decode import BOXES, decode
from edgevit.runtime.detection.letterbox import to_picture
from edgevit.runtime.evaluation.average_precision import LEAST_SCORE, average_precision
from edgevit.runtime.evaluation.box_difference import BoxDifference, box_difference
from edgevit.runtime.evaluation.metrics import cosines, power_table
from edgevit.runtime.images.header import read_header
from edgevit.runtime.postprocess import sigmoid

MOST_SHIFT_PX, MOST_SCORE = 0.1, 0.001
"""How far float arithmetic may move a side of a box, in pixels of the input, and its score."""
BOX_GATES: dict[Precision, Gate] = {
    "fp32": Gate(relative=1e-4, cosine=0.99999, agreement=0.999),
    "fp16": Gate(relative=None, cosine=0.999, agreement=0.98),
    "dynamic": Gate(relative=None, cosine=0.98, agreement=0.9),
    "int8": Gate(relative=None, cosine=0.95, agreement=0.8),
}
"""Many boxes are found with a score near the threshold, so that rounding takes some of them away and brings others."""
BACKGROUND = 0.01
"""What a place without an object counts for where noise is measured; one with an object counts as much as its score."""


@dataclass(frozen=True)
class BoxForm:
    """What the answers (images, places, numbers) of a detector mean; see edgevit.export.tasks.answers.AnswerForm."""

    meaning: BoxOutput
    preprocessing: Preprocess
    numbers: str = "raw numbers"

    @property
    def gates(self) -> Mapping[Precision, Gate]:
        return BOX_GATES

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.meaning.outputs

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input in pixels."""
        return self.preprocessing.size

    def split(self, answers: Answers) -> list[Answers]:
        """Return boxes (..., 4), objectness (..., 1) if there is one, and scores (..., classes)."""
        return np.split(answers, [4, 5] if self.meaning.objectness else [4], axis=-1)

    def find(self, answer: Answers, threshold: float) -> FoundBoxes:
        """Return the boxes that one picture's answer (places, numbers) tells, in pixels of the input."""
        return decode(self.split(answer), self.meaning, self.size, threshold=threshold)

    def scores(self, answers: Answers) -> Answers:
        """Return the score of every class at every place, (..., places, classes)."""
        _, *objectness, classes = (sigmoid(part) for part in self.split(answers))
        return np.asarray(classes * objectness[0] if objectness else classes, np.float32)

    def compare(self, step: str, reference: Answers, found: Answers) -> Parity:
        """The cosine is that of the output that has the lowest, as a mean over images; agreement is of boxes."""
        pairs = zip(self.split(reference), self.split(found), strict=True)
        by_output = [cosines(*(part.reshape(len(part), -1) for part in pair)).mean() for pair in pairs]
        boxes = self._box_parity(reference, found)
        return Parity(
            step=step,
            max_abs=float(np.abs(reference - found).max()),
            cosine=float(min(by_output)),
            top1_agreement=1 - boxes.lost / max(1, boxes.found),
            images=len(reference),
            boxes=boxes,
        )

    def _box_parity(self, reference: Answers, found: Answers) -> BoxParity:
        pictures = [self._compare_picture(*pair) for pair in zip(reference, found, strict=True)]
        count, lost, new = (sum(column) for column in list(zip(*pictures, strict=True))[:3])
        shift, score = (max(column) for column in list(zip(*pictures, strict=True))[3:])
        return BoxParity(int(count), int(lost), int(new), float(shift), float(score))

    def _compare_picture(self, reference: Answers, found: Answers) -> tuple[int, int, int, float, float]:
        """Return how many boxes there are, are lost and are new, and how far those of sure places have moved."""
        least = self.meaning.threshold
        # what lies at the threshold itself may fall to either side
        before, after = self.find(reference, least), self.find(found, least - MOST_SCORE)
        difference = _difference(before, after)
        was, now = self.scores(reference), self.scores(found)
        place, index = np.nonzero(was >= least)
        shift, score = 0.0, 0.0
        if len(place):
            sides = [
                BOXES[self.meaning.decode](raw[place, :4], place, self.meaning, self.size) for raw in (reference, found)
            ]
            shift = float(np.abs(sides[0] - sides[1]).max())
            score = float(np.abs(was[place, index] - now[place, index]).max())
        new = int(sum(box.alone and (box.conf or 0) >= least for box in difference.found))
        return len(before.boxes), difference.missed, new, shift, score

    def unit(self, reference: Answers) -> float:
        """The deviation of the output that varies least, and at least 1."""
        return max(1.0, min(float(part.std()) for part in self.split(reference)))

    def shortfall(self, parity: Parity, gate: Gate) -> str | None:
        boxes = parity.boxes
        assert boxes is not None
        if gate.relative is not None and boxes.shift_px > MOST_SHIFT_PX:
            return f"a side of a box moves by {boxes.shift_px:.2g} pixels, allowed is {MOST_SHIFT_PX}"
        if gate.relative is not None and boxes.score_difference > MOST_SCORE:
            return f"the score of a box changes by {boxes.score_difference:.2g}, allowed is {MOST_SCORE}"
        if parity.top1_agreement >= gate.agreement:
            return None
        found = f"{parity.top1_agreement:.1%} of {boxes.found} boxes on {parity.images} images are found again"
        return f"{found}, at least {gate.agreement:.0%} is asked"

    def powers(self, reference: Answers, found: Answers) -> NDArray[np.float64]:
        """The powers of each output are shares of its own, so that one of large numbers does not hide the others."""
        tables = [power_table(*pair) for pair in zip(self.split(reference), self.split(found), strict=True)]
        return np.array([len(tables), sum(noise / max(signal, TINY) for signal, noise in tables)])

    def noise(self, reference: Answers, found: Answers) -> float:
        """Places count by their score: what is said of the box where nothing is disturbs little."""
        weights = self.scores(reference).max(axis=-1, keepdims=True) + BACKGROUND
        shares = []
        for exact, other in zip(self.split(reference), self.split(found), strict=True):
            mean = np.average(exact, weights=np.broadcast_to(weights, exact.shape))
            signal, noise = ((weights * np.square(values)).sum() for values in (exact - mean, other - exact))
            shares.append(float(noise) / max(float(signal), TINY))
        return float(np.mean(shares))

    def agreement(self, reference: Answers) -> GroundTruth:
        return FloatBoxes(self, reference)

    def truth(self, pictures: Pictures, names: tuple[str, ...]) -> GroundTruth | None:
        boxes = pictures.boxes_by(names)
        if boxes is None:
            return None
        headers = (read_header(path.read_bytes()) for path in pictures.paths)
        sizes = tuple(upright_size(header) for header in headers if header is not None)
        return MarkedBoxes(self, boxes, sizes, len(names))


def _difference(expected: FoundBoxes, found: FoundBoxes) -> BoxDifference:
    """Compare boxes whose names do not matter."""
    classes = max((int(one.classes.max()) for one in (expected, found) if len(one.classes)), default=0) + 1
    return box_difference("", expected, found, [""] * classes)


@dataclass(frozen=True, eq=False)
class FloatBoxes:
    """The float model's boxes, where no others are known; see edgevit.export.tasks.ground_truth.GroundTruth."""

    form: BoxForm
    answers: Answers
    measure: str = "box agreement with float32"

    @property
    def identity(self) -> str:
        return "float32 boxes"

    @cached_property
    def boxes(self) -> tuple[FoundBoxes, ...]:
        """The boxes of each picture, in pixels of the input."""
        return tuple(self.form.find(answer, self.form.meaning.threshold) for answer in self.answers)

    def score(self, answers: Answers) -> float:
        """Return the share of boxes that both find, of those that either finds; 1 where there are none."""
        same = either = 0
        for expected, answer in zip(self.boxes, answers, strict=True):
            found = self.form.find(answer, self.form.meaning.threshold)
            difference = _difference(expected, found)
            same += len(expected.boxes) - difference.missed
            either += len(expected.boxes) + difference.extra
        return same / either if either else 1.0

    def part(self, which: slice) -> "FloatBoxes":
        return FloatBoxes(self.form, self.answers[which])


@dataclass(frozen=True, eq=False)
class MarkedBoxes:
    """The boxes that somebody marked in each picture; see edgevit.export.tasks.ground_truth.GroundTruth."""

    form: BoxForm
    boxes: tuple[TrueBoxes, ...]
    """In pixels of the pictures."""
    sizes: tuple[tuple[int, int], ...]
    """(height, width) of each picture in pixels."""
    classes: int
    measure: str = "average precision"

    @property
    def identity(self) -> str:
        parts = [part.tobytes() for one in self.boxes for part in (one.boxes, one.classes, one.crowd)]
        return content_key(repr((self.sizes, self.form.meaning)), *parts)

    def find(self, answer: Answers, picture: int, threshold: float) -> FoundBoxes:
        """Return what an answer (places, numbers) tells of a picture, in its pixels."""
        return to_picture(self.form.find(answer, threshold), self.sizes[picture], self.form.preprocessing)

    def score(self, answers: Answers) -> float:
        """Return COCO's average precision, 0..1; 0 where nothing was marked."""
        found: Sequence[FoundBoxes] = [self.find(answer, i, LEAST_SCORE) for i, answer in enumerate(answers)]
        return average_precision(self.boxes, found, self.classes).ap or 0.0

    def part(self, which: slice) -> "MarkedBoxes":
        return MarkedBoxes(self.form, self.boxes[which], self.sizes[which], self.classes)
