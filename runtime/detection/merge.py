"""From the boxes of overlapping tiles to those of the picture, as pure functions.

Tiles overlap, so that what is smaller than the overlap lies whole in one of them. What is larger, and cut by a border,
is found in pieces: a piece is dropped where a whole box covers most of it, else joined with the one on the other side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes, FoundBoxes, areas, intersections, nothing_found
from edgevit.runtime.detection.suppress import suppress

SAME = 0.5
"""Intersection over union from which two boxes of one class are of one object."""
COVERED = 0.6
"""Share of a piece's area from which a whole box covers it."""
ALIGNED = 0.5
"""Intersection over union of two pieces along the border from which they are of one object."""
AT_BORDER = 0.03
"""A box that ends so near to the border of its tile, as a share of the tile's side, is taken for cut."""
MOST = 1000
"""Boxes that are told of all tiles together."""

Tile = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the picture."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Pieces:
    boxes: Boxes
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    cut: Flags
    """(n, 4) which of a box's sides, left, top, right and bottom, lie at a border inside the picture."""

    def chosen(self, which: Flags) -> "_Pieces":
        return _Pieces(self.boxes[which], self.scores[which], self.classes[which], self.cut[which])


def merge_boxes(parts: Sequence[tuple[FoundBoxes, Tile]], size: tuple[int, int], most: int = MOST) -> FoundBoxes:
    """Return what was found in a picture, the surest first, in its pixels.

    Args:
        parts: what was found in each tile, in pixels of the tile, and the tile; the whole picture may be one.
        size: (height, width) of the picture in pixels.
        most: how many boxes to return.
    """
    if not parts:
        return nothing_found()
    pool = _together([_in_picture(found, tile, size) for found, tile in parts])
    cut: Flags = np.asarray(pool.cut.any(axis=1), np.bool_)
    pieces, whole = pool.chosen(cut), pool.chosen(~cut)
    pool = _together([whole, _joined(pieces.chosen(~_covered(pieces, whole)))])
    return suppress(pool.boxes, pool.scores, pool.classes, SAME, most)


def _in_picture(found: FoundBoxes, tile: Tile, size: tuple[int, int]) -> _Pieces:
    left, top, right, bottom = tile
    boxes = found.boxes + np.array([left, top, left, top], np.float32)
    near = AT_BORDER * np.array([right - left, bottom - top] * 2)
    inside = np.array([left > 0, top > 0, right < size[1], bottom < size[0]])
    return _Pieces(boxes, found.scores, found.classes, (np.abs(boxes - np.array(tile)) <= near) & inside)


def _together(parts: Sequence[_Pieces]) -> _Pieces:
    return _Pieces(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.cut for part in parts]),
    )


def _covered(pieces: _Pieces, whole: _Pieces) -> Flags:
    """Return (n,) whether most of a piece lies in a whole box of its class."""
    shared = intersections(pieces.boxes, whole.boxes) >= COVERED * areas(pieces.boxes)[:, None]
    same = pieces.classes[:, None] == whole.classes[None]
    return np.asarray((shared & same).any(axis=1), np.bool_)


def _joined(pieces: _Pieces) -> _Pieces:
    """Return one box for each group of pieces that are of one object, as sure as the surest of them."""
    groups = _groups(_meet(pieces))
    joined = [_union(pieces.chosen(groups == group)) for group in np.unique(groups)]
    return _together(joined) if joined else pieces


def _meet(pieces: _Pieces) -> Flags:
    """Return (n, n) whether two pieces are on both sides of a border, of one class, and aligned along it."""
    meet: Flags = np.zeros((len(pieces.boxes),) * 2, np.bool_)
    for across in (0, 1):
        along = 1 - across
        first, second = pieces.cut[:, across + 2], pieces.cut[:, across]
        facing = first[:, None] & second[None]
        meet |= (facing | facing.T) & (_shares(pieces.boxes, across) > 0) & (_shares(pieces.boxes, along) >= ALIGNED)
    return np.asarray(meet & (pieces.classes[:, None] == pieces.classes[None]), np.bool_)


def _shares(boxes: Boxes, axis: int) -> NDArray[np.float32]:
    """Return the (n, n) intersection over union of each pair of boxes along one axis, x or y."""
    low, high = boxes[:, axis], boxes[:, axis + 2]
    shared = np.maximum(np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None]), 0)
    whole = np.maximum(high[:, None], high[None]) - np.minimum(low[:, None], low[None])
    return np.asarray(shared / np.maximum(whole, 1e-6), np.float32)


def _groups(meet: Flags) -> NDArray[np.int64]:
    """Return (n,) the number of each piece's group: those that meet, and those that meet them, have the same."""
    groups = np.arange(len(meet))
    linked = meet | np.eye(len(meet), dtype=np.bool_)
    while len(meet):
        lowest = np.where(linked, groups[None], len(meet)).min(axis=1)
        if (lowest == groups).all():
            break
        groups = lowest
    return groups


def _union(group: _Pieces) -> _Pieces:
    box = np.concatenate([group.boxes[:, :2].min(axis=0), group.boxes[:, 2:].max(axis=0)])[None]
    return _Pieces(box, group.scores.max(keepdims=True), group.classes[:1], group.cut[:1])
