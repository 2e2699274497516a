"""From a detection model's raw answers for one picture to boxes in pixels of its input, as pure functions.

Thresholds are compared with the raw numbers first, so that exp and sigmoid are computed for the few places that are
left. YOLOX: arXiv 2107.08430; RetinaNet: arXiv 1708.02002, its anchors and deltas as in mmdetection 3.3.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput
from edgevit.errors import ModelFileError
from edgevit.runtime.detection.boxes import Boxes, FoundBoxes
from edgevit.runtime.detection.letterbox import clip
from edgevit.runtime.detection.suppress import FARTHEST, MOST, Limits, suppress
from edgevit.runtime.postprocess import sigmoid

Floats = NDArray[np.float32]

CANDIDATES = 300
"""Boxes that may reach the suppression, the surest; of anchors so many..."""
CANDIDATES_OF_LEVEL = 1000
"""...of each level."""
LONGEST = 10.0
"""Largest logarithm of a side in strides that is believed: exp(10) strides are longer than any picture."""
LONGEST_DELTA = math.log(1000 / 16)
"""Largest logarithm of a side in sides of its anchor, as in mmdetection."""
ANCHOR_SCALES = tuple(4 * 2 ** (third / 3) for third in range(3))
"""Sides of the anchors of a place in strides..."""
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
"""...for each ratio of height to width."""


def decode(
    outputs: Sequence[Floats],
    meaning: BoxOutput,
    size: tuple[int, int],
    *,
    threshold: float | None = None,
    overlap: float | None = None,
    candidates: int | None = None,
    most: int = MOST,
) -> FoundBoxes:
    """Return what was found in one picture, the surest first, in pixels of the input.

    Args:
        outputs: raw boxes (places, 4), objectness (places, 1) if the model has one, and scores (places, classes).
        meaning: what they mean.
        size: (height, width) of the input in pixels.
        threshold: least score; the model's own unless given.
        overlap: intersection over union above which the less sure of two boxes of a class is left out; likewise.
        candidates: how many boxes may reach the suppression; CANDIDATES, or CANDIDATES_OF_LEVEL of each level of
            anchors, unless given.
        most: how many to return.

    Raises:
        ModelFileError: the outputs do not have these forms.
    """
    check_shapes([output.shape for output in outputs], meaning, size)
    raw, logits = outputs[0], outputs[-1]
    objectness = outputs[1][:, 0] if meaning.objectness else None
    least = meaning.threshold if threshold is None else threshold
    if meaning.decode == "retina":
        places, classes, scores = _each_class(logits, meaning, size, least, candidates or CANDIDATES_OF_LEVEL)
    else:
        places, classes, scores = best_classes(logits, objectness, least, candidates or CANDIDATES)
    boxes = BOXES[meaning.decode](raw[places], places, meaning, size)
    return suppress(boxes, scores, classes, meaning.overlap if overlap is None else overlap, most)


def check_shapes(shapes: Sequence[tuple[int, ...]], meaning: BoxOutput, size: tuple[int, int]) -> None:
    """Raise ModelFileError unless outputs of one picture have the forms that their meaning asks for."""
    places = None if meaning.decode == "corners" else sum(level_places(meaning, size))
    found = {shape[0] if shape else 0 for shape in shapes}
    sides = [4, *([1] if meaning.objectness else [])]
    if (
        len(shapes) != len(sides) + 1
        or any(len(shape) != 2 for shape in shapes)
        or [shape[1] for shape in shapes[:-1]] != sides
        or len(found) != 1
        or (places is not None and found != {places})
    ):
        expected = ", ".join(f"{places or 'N'}x{side}" for side in [*sides, "classes"])
        raise ModelFileError(
            f"the model answers with {shown(shapes)} for a picture, but its document says {expected}; export it again"
        )


def shown(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return shapes as text: "126x4, 126x1"."""
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def best_classes(
    logits: Floats, objectness: Floats | None, threshold: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return the places whose best class reaches the threshold, that class, and its score; the surest first.

    Args:
        logits: (places, classes).
        objectness: (places,) logits that something is there, None for a model without.
        threshold: least score, 0..1.
        most: how many to return.
    """
    least = _logit(threshold)
    best = logits.max(axis=1)
    # a product of two probabilities reaches no threshold that one of them does not
    kept = best >= least if objectness is None else (best >= least) & (objectness >= least)
    places = np.flatnonzero(kept)
    scores = sigmoid(best[places])
    if objectness is not None:
        scores = scores * sigmoid(objectness[places])
    order = _surest(scores, threshold, most)
    places = places[order]
    return places, np.asarray(logits[places].argmax(axis=1), np.int64), scores[order]


def _each_class(
    logits: Floats, meaning: BoxOutput, size: tuple[int, int], threshold: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return for each class that reaches the threshold its place and score, the surest of each level."""
    least, start, found = _logit(threshold), 0, []
    for count in level_places(meaning, size):
        level = logits[start : start + count].reshape(-1)
        reached = np.flatnonzero(level >= least)
        places, classes = np.divmod(reached, logits.shape[1])
        scores = sigmoid(level[reached])
        order = _surest(scores, threshold, most)
        found.append((start + places[order], classes[order], scores[order]))
        start += count
    places, classes, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    return places, classes, scores


def _surest(scores: Floats, threshold: float, most: int) -> NDArray[np.int64]:
    """Return where the highest scores stand that reach the threshold, the highest first."""
    order = np.argsort(-scores, kind="stable")[:most]
    return order[scores[order] >= threshold]


def _logit(probability: float) -> float:
    """Return a logit a little below the one whose sigmoid is `probability`, for rounding."""
    if not 0 < probability < 1:
        return -math.inf if probability <= 0 else 0.0
    return math.log(probability / (1 - probability)) - 1e-3


def level_places(meaning: BoxOutput, size: tuple[int, int]) -> list[int]:
    """Return how many places each level has for an input of (height, width)."""
    each = len(ANCHOR_SCALES) * len(ANCHOR_RATIOS) if meaning.decode == "retina" else 1
    return [each * math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in meaning.strides]


@functools.lru_cache(maxsize=8)
def cells(strides: tuple[int, ...], size: tuple[int, int]) -> Floats:
    """Return (places, 3): x and y of each cell's upper left corner in pixels of the input, and its level's stride."""
    levels = []
    for stride in strides:
        y, x = np.mgrid[: math.ceil(size[0] / stride), : math.ceil(size[1] / stride)].reshape(2, -1) * stride
        levels.append(np.stack([x, y, np.full_like(x, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


@functools.lru_cache(maxsize=8)
def anchors(strides: tuple[int, ...], size: tuple[int, int]) -> Boxes:
    """Return the (places, 4) anchors of RetinaNet: around each cell's corner one for each ratio and scale."""
    shapes = np.array(
        [[scale / math.sqrt(ratio), scale * math.sqrt(ratio)] for ratio in ANCHOR_RATIOS for scale in ANCHOR_SCALES]
    )
    places = cells(strides, size)[:, None].astype(np.float64)  # (cells, 1, 3)
    corners, sides = places[..., :2], places[..., 2:] * shapes  # (cells, 1, 2), (cells, shapes, 2)
    boxes: Boxes = np.concatenate([corners - sides / 2, corners + sides / 2], axis=2).astype(np.float32)
    return boxes.reshape(-1, 4)


def _yolox_boxes(raw: Floats, places: NDArray[np.int64], meaning: BoxOutput, size: tuple[int, int]) -> Boxes:
    cell = cells(meaning.strides, size)[places].astype(np.float64)
    stride = cell[:, 2:]
    centre = cell[:, :2] + raw[:, :2] * stride
    half = np.exp(np.minimum(raw[:, 2:], LONGEST)) * stride / 2
    return _corners(centre, half)


def _retina_boxes(raw: Floats, places: NDArray[np.int64], meaning: BoxOutput, size: tuple[int, int]) -> Boxes:
    anchor = anchors(meaning.strides, size)[places].astype(np.float64)
    sides = anchor[:, 2:] - anchor[:, :2]
    centre = (anchor[:, :2] + anchor[:, 2:]) / 2 + raw[:, :2] * sides
    half = np.exp(np.clip(raw[:, 2:], -LONGEST_DELTA, LONGEST_DELTA)) * sides / 2
    return clip(_corners(centre, half), size)


def _corners(centre: NDArray[np.float64], half: NDArray[np.float64]) -> Boxes:
    corners = np.concatenate([centre - half, centre + half], axis=1)
    return np.asarray(np.clip(corners, -FARTHEST, FARTHEST), np.float32)


def _as_they_are(raw: Floats, places: NDArray[np.int64], meaning: BoxOutput, size: tuple[int, int]) -> Boxes:
    return raw


BOXES = {"yolox": _yolox_boxes, "retina": _retina_boxes, "corners": _as_they_are}
"""Decoding, as a BoxOutput names it, to what makes corners of the raw boxes (n, 4) of some places."""


class BoxDecoder(Protocol):
    """What knows what the outputs of a detection model mean."""

    @property
    def threshold(self) -> float:
        """Score, 0..1, below which a box is not told unless the user says another."""

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        """Raise ModelFileError unless the outputs of one picture have the forms that it reads."""

    def find(self, outputs: Sequence[Floats], limits: Limits) -> FoundBoxes:
        """Return what was found in one picture, in pixels of the input, the surest first."""


@dataclass(frozen=True)
class RawBoxes:
    """Knows what the raw answers of a model mean; see BoxDecoder."""

    meaning: BoxOutput
    size: tuple[int, int]
    """(height, width) of the input in pixels."""

    @property
    def threshold(self) -> float:
        return self.meaning.threshold

    def check(self, shapes: Sequence[tuple[int, ...]], classes: int) -> None:
        check_shapes(shapes, self.meaning, self.size)
        if shapes[-1][1] != classes:
            raise ModelFileError(f"the model answers for {shapes[-1][1]} classes, but has {classes} labels")

    def find(self, outputs: Sequence[Floats], limits: Limits) -> FoundBoxes:
        return decode(
            outputs,
            self.meaning,
            self.size,
            threshold=limits.threshold,
            overlap=limits.overlap,
            candidates=limits.candidates,
            most=limits.most,
        )
