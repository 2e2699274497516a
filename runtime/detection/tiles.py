"""Small objects in large pictures: detect in overlapping tiles and in the whole picture, and make one answer of it."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from edgevit.runtime.detection.boxes import FoundBoxes, nothing_found, overlaps
from edgevit.runtime.detection.merge import MOST, SAME, Tile, merge_boxes
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.results import Result

OVERLAP = 0.2
"""Share of a tile's side that it has in common with the next one."""


def tile_places(size: tuple[int, int], columns: int, rows: int, overlap: float = OVERLAP) -> tuple[Tile, ...]:
    """Return equal tiles that cover a picture of (height, width), row by row.

    Args:
        size: of the picture in pixels.
        columns: tiles in a row.
        rows: rows of tiles.
        overlap: share of a tile's side that it has in common with the next one, 0..1.
    """
    down, across = _spans(size[0], rows, overlap), _spans(size[1], columns, overlap)
    return tuple((left, top, right, bottom) for top, bottom in down for left, right in across)


def _spans(length: int, count: int, overlap: float) -> list[tuple[int, int]]:
    side = length / (count - (count - 1) * overlap)
    starts = [number * side * (1 - overlap) for number in range(count)]
    return [(min(int(start), length - 1), min(length, max(1, round(start + side)))) for start in starts]


def detect_in_tiles(
    predict: Callable[[list[RGBImage]], Sequence[Result]], image: RGBImage, columns: int, rows: int
) -> Detections:
    """Return one answer for an (H, W, 3) picture, from what is found in the whole of it and in each of its tiles.

    Args:
        predict: a detector, or what asks one.
        image: the picture.
        columns: tiles in a row.
        rows: rows of tiles.
    """
    places = tile_places((image.shape[0], image.shape[1]), columns, rows) if columns * rows > 1 else ()
    tiles = [np.ascontiguousarray(image[top:bottom, left:right]) for left, top, right, bottom in places]
    found = [answer for answer in predict([image, *tiles]) if isinstance(answer, Detections)]
    return merge_tiles(found[0], list(zip(found[1:], places, strict=True)))


def merge_tiles(whole: Detections, tiles: Sequence[tuple[Detections, Tile]]) -> Detections:
    """Return one answer for a picture, in its pixels, from those for the whole of it and for its tiles."""
    answers = [(whole, (0, 0, whole.size[1], whole.size[0])), *tiles]
    told = merge_boxes(
        [(FoundBoxes(each.boxes, each.scores, each.classes), tile) for each, tile in answers], whole.size
    )
    probs = np.zeros_like(whole.probs)
    np.maximum.at(probs, told.classes, told.scores)
    return dataclasses.replace(
        whole,
        probs=probs,
        boxes=told.boxes,
        scores=told.scores,
        classes=told.classes,
        most=MOST,
        weak=None if whole.weak is None else _weak(answers, told, whole.size),
        preprocess_ms=sum(each.preprocess_ms for each, _ in answers),
        inference_ms=sum(each.inference_ms for each, _ in answers),
        postprocess_ms=sum(each.postprocess_ms for each, _ in answers),
    )


def _weak(answers: Sequence[tuple[Detections, Tile]], told: FoundBoxes, size: tuple[int, int]) -> FoundBoxes:
    """Return the weak boxes of all tiles, but for those of objects that are told."""
    weak = merge_boxes([(each.weak or nothing_found(), tile) for each, tile in answers], size)
    same = (overlaps(weak.boxes, told.boxes) >= SAME) & (weak.classes[:, None] == told.classes[None])
    new = ~same.any(axis=1)
    return FoundBoxes(weak.boxes[new], weak.scores[new], weak.classes[new])
