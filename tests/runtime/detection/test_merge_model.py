"""Boxes of tiles merged, against a naive model: numbers in lists, every pair looked at by itself."""

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
from hypothesis import assume, given, settings

from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.merge import Tile, merge_boxes

HEIGHT, WIDTH = 120, 200
# two columns, two rows, in part one above the other, and the whole picture
TILES: list[Tile] = [(0, 0, 110, 65), (90, 0, 200, 65), (0, 55, 110, 120), (90, 55, 200, 120), (0, 0, 200, 120)]

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Piece:
    box: Box
    """In pixels of the picture."""
    score: int
    """In hundredths; no two are equal."""
    kind: int
    cut: tuple[bool, ...] = (False,) * 4
    """At the left, top, right and bottom."""


@st.composite
def finds(draw: st.DrawFn) -> list[tuple[int, Piece]]:
    """Return pairs of a tile's number and what was found in it; some boxes reach to the borders."""
    count = draw(st.integers(0, 7))
    scores = draw(st.permutations(range(10, 99)))
    found = []
    for score in scores[:count]:
        number = draw(st.integers(0, len(TILES) - 1))
        left, top, right, bottom = TILES[number]
        x = sorted(draw(st.lists(st.integers(left, right), min_size=2, max_size=2, unique=True)))
        y = sorted(draw(st.lists(st.integers(top, bottom), min_size=2, max_size=2, unique=True)))
        # at the border, or not
        x = [draw(st.sampled_from([x[0], x[0], left])), draw(st.sampled_from([x[1], x[1], right]))]
        y = [draw(st.sampled_from([y[0], y[0], top])), draw(st.sampled_from([y[1], y[1], bottom]))]
        found.append((number, Piece((x[0], y[0], x[1], y[1]), score, draw(st.integers(0, 1)))))
    return found


def is_above(value: float, limit: float) -> bool:
    """Compare, where rounding cannot decide; examples in which it could are left out."""
    assume(abs(value - limit) > 1e-5)
    return value > limit


def area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def shared(one: Box, other: Box) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def overlap_along(one: Box, other: Box, axis: int) -> float:
    both = min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])
    return max(both, 0) / (max(one[axis + 2], other[axis + 2]) - min(one[axis], other[axis]))


def cut_sides(box: Box, tile: Tile) -> tuple[bool, ...]:
    left, top, right, bottom = tile
    near_x, near_y = 0.03 * (right - left), 0.03 * (bottom - top)
    return (
        left > 0 and box[0] - left <= near_x,
        top > 0 and box[1] - top <= near_y,
        right < WIDTH and right - box[2] <= near_x,
        bottom < HEIGHT and bottom - box[3] <= near_y,
    )


def meet(one: Piece, other: Piece) -> bool:
    """Tell whether two pieces lie on both sides of a border, left and right or above and below."""
    for across in (0, 1):
        facing = (one.cut[across + 2] and other.cut[across]) or (other.cut[across + 2] and one.cut[across])
        if facing and overlap_along(one.box, other.box, across) > 0:
            along = overlap_along(one.box, other.box, 1 - across)
            if is_above(along, 0.5) and one.kind == other.kind:
                return True
    return False


def naive(found: list[tuple[int, Piece]]) -> list[tuple[Box, int, int]]:
    """Return (box, score, class) of what is told, the surest first."""
    pieces = [Piece(piece.box, piece.score, piece.kind, cut_sides(piece.box, TILES[number])) for number, piece in found]
    whole = [piece for piece in pieces if not any(piece.cut)]
    left = [
        piece
        for piece in pieces
        if any(piece.cut)
        and not any(
            piece.kind == other.kind and is_above(shared(piece.box, other.box) / area(piece.box), 0.6)
            for other in whole
        )
    ]
    while left:
        group = [left.pop()]
        for member in group:  # it grows meanwhile
            near = [piece for piece in left if meet(member, piece)]
            group += near
            left = [piece for piece in left if piece not in near]
        corners = [min(p.box[k] for p in group) if k < 2 else max(p.box[k] for p in group) for k in range(4)]
        box = (corners[0], corners[1], corners[2], corners[3])
        whole.append(Piece(box, max(p.score for p in group), group[0].kind))
    told: list[Piece] = []
    for piece in sorted(whole, key=lambda p: -p.score):
        same = [other for other in told if other.kind == piece.kind]
        ious = [shared(p.box, piece.box) / (area(p.box) + area(piece.box) - shared(p.box, piece.box)) for p in same]
        if not any(is_above(iou, 0.5) for iou in ious):
            told.append(piece)
    return [(piece.box, piece.score, piece.kind) for piece in told]


@given(finds())
@settings(max_examples=120)
def test_merged_boxes_are_those_of_the_naive_model(found: list[tuple[int, Piece]]) -> None:
    parts = []
    for number, (left, top, _, _) in enumerate(TILES):
        of_tile = [piece for other, piece in found if other == number]
        boxes = np.array([piece.box for piece in of_tile], np.float32).reshape(-1, 4) - [left, top, left, top]
        scores = np.array([piece.score / 100 for piece in of_tile], np.float32)
        classes = np.array([piece.kind for piece in of_tile], np.int64)
        parts.append((FoundBoxes(boxes.astype(np.float32), scores, classes), TILES[number]))
    merged = merge_boxes(parts, (HEIGHT, WIDTH))
    told = zip(merged.boxes.tolist(), merged.scores.tolist(), merged.classes.tolist(), strict=True)
    assert [(tuple(box), round(100 * score), kind) for box, score, kind in told] == naive(found)
    fewer = merge_boxes(parts, (HEIGHT, WIDTH), 2)
    assert fewer.boxes.tolist() == merged.boxes.tolist()[:2]


def merged(*parts: tuple[int, tuple[float, float, float, float]]) -> list[list[float]]:
    """Return what is told of boxes of one class, each in pixels of the picture, with the number of its tile."""
    found = []
    for number, box in parts:
        left, top, _, _ = TILES[number]
        boxes = np.array([box], np.float32) - np.array([left, top, left, top], np.float32)
        found.append((FoundBoxes(boxes, np.array([0.5], np.float32), np.array([1])), TILES[number]))
    return sorted(merge_boxes(found, (HEIGHT, WIDTH)).boxes.tolist())


def test_piece_is_dropped_where_a_whole_box_covers_six_tenths_of_it() -> None:
    piece = (90, 20, 110, 40)
    # 13 of its 20 columns, and 11
    assert merged((0, piece), (4, (40, 20, 103, 40))) == [[40, 20, 103, 40]]
    assert merged((0, piece), (4, (40, 20, 101, 40))) == [[40, 20, 101, 40], [*piece]]


def test_pieces_on_both_sides_of_a_border_are_joined_where_half_of_them_is_aligned() -> None:
    piece = (80, 10, 110, 30)
    # 14 of 26 rows are shared, and 13 of 27
    assert merged((0, piece), (1, (90, 16, 130, 36))) == [[80, 10, 130, 36]]
    assert merged((0, piece), (1, (90, 17, 130, 37))) == [[*piece], [90, 17, 130, 37]]


def test_box_is_taken_for_cut_up_to_three_hundredths_of_its_tile_from_the_border() -> None:
    piece = (90, 10, 130, 30)
    # the tile is 110 wide and ends at 110: 3.3 pixels
    assert merged((0, (80, 10, 107, 30)), (1, piece)) == [[80, 10, 130, 30]]
    assert merged((0, (80, 10, 106, 30)), (1, piece)) == [[80, 10, 106, 30], [*piece]]
