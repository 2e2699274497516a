"""Tiles that overlap, and one answer from all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgevit
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.merge import merge_boxes
from edgevit.runtime.detection.tiles import tile_places
from edgevit.runtime.images.prepare import Prepared, prepare
from edgevit.runtime.images.preprocess import Speed
from tests.conftest import SaveImage
from tests.made_detector import scene

SIZE = (100, 180)
LEFT, RIGHT = (0, 0, 100, 100), (80, 0, 180, 100)
"""Two tiles of 100 x 100 pixels that share a fifth."""
WHOLE = (0, 0, 180, 100)


def found(*boxes: tuple[float, float, float, float, float], classes: tuple[int, ...] = ()) -> FoundBoxes:
    """Return boxes (left, top, right, bottom, score)."""
    values = np.array(boxes, np.float32).reshape(-1, 5)
    return FoundBoxes(values[:, :4], values[:, 4], np.array(classes or [0] * len(boxes), np.int64))


def test_tiles_are_equal_overlap_by_a_fifth_and_cover_the_picture() -> None:
    # 2 columns of side s: s + .8 s = 180
    assert tile_places(SIZE, 2, 1) == (LEFT, RIGHT)
    # 3 rows of side s: 2.6 s = 1300; steps of 400
    assert [tile[1::2] for tile in tile_places((1300, 50), 1, 3)] == [(0, 500), (400, 900), (800, 1300)]
    assert tile_places((7, 9), 1, 1) == ((0, 0, 9, 7),)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (101, 997)])
def test_tiles_of_any_picture_leave_nothing_out(size: tuple[int, int]) -> None:
    seen = np.zeros(size, np.bool_)
    for left, top, right, bottom in tile_places(size, 4, 3):
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_what_two_tiles_see_whole_is_one() -> None:
    # 84..96 of the picture, in the shared strip
    merged = merge_boxes([(found((84, 40, 96, 60, 0.8)), LEFT), (found((4, 40, 16, 60, 0.9)), RIGHT)], SIZE)
    assert merged.boxes.tolist() == [[84, 40, 96, 60]]
    assert merged.scores.tolist() == [pytest.approx(0.9)]


def test_a_piece_goes_where_another_tile_sees_the_whole() -> None:
    # an object of 85..115: the left tile sees half of it, and is surer
    merged = merge_boxes([(found((85, 40, 100, 60, 0.9)), LEFT), (found((5, 40, 35, 60, 0.6)), RIGHT)], SIZE)
    assert merged.boxes.tolist() == [[85, 40, 115, 60]]


def test_pieces_on_both_sides_of_a_border_are_joined() -> None:
    # an object of 50..150 that no tile holds
    merged = merge_boxes([(found((50, 40, 100, 60, 0.6)), LEFT), (found((0, 41, 70, 60, 0.9)), RIGHT)], SIZE)
    assert merged.boxes.tolist() == [[50, 40, 150, 60]]
    assert merged.scores.tolist() == [pytest.approx(0.9)]


def test_an_object_on_four_tiles_is_joined() -> None:
    size, tiles = (180, 180), tile_places((180, 180), 2, 2)
    # 50..150 each way
    near, far = (50, 100), (0, 70)
    spans = [(near, near), (far, near), (near, far), (far, far)]
    parts = [(found((x[0], y[0], x[1], y[1], 0.5)), tile) for (x, y), tile in zip(spans, tiles, strict=True)]
    assert merge_boxes(parts, size).boxes.tolist() == [[50, 50, 150, 150]]


def test_the_whole_picture_finds_what_tiles_see_in_pieces() -> None:
    parts = [
        (found((48, 38, 152, 62, 0.5)), WHOLE),
        (found((50, 40, 100, 60, 0.9)), LEFT),
        (found((0, 41, 70, 60, 0.9)), RIGHT),
    ]
    assert merge_boxes(parts, SIZE).boxes.tolist() == [[48, 38, 152, 62]]


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        (found((50, 40, 100, 60, 0.6)), found((0, 41, 70, 60, 0.9), classes=(1,)), "another class"),
        (found((50, 10, 100, 30, 0.6)), found((0, 50, 70, 90, 0.9)), "another height"),
        (found((50, 40, 70, 60, 0.6)), found((40, 40, 70, 60, 0.9)), "neither is cut"),
        (found((0, 40, 30, 60, 0.6)), found((70, 40, 100, 60, 0.9)), "at the picture's own edges"),
        (found((90, 40, 100, 60, 0.6), (0, 40, 10, 60, 0.9)), found(), "of the same tile"),
    ],
)
def test_other_boxes_stay_two(left: FoundBoxes, right: FoundBoxes, why: str) -> None:
    assert len(merge_boxes([(left, LEFT), (right, RIGHT)], SIZE).boxes) == 2, why


def test_nothing_merges_to_nothing() -> None:
    assert len(merge_boxes([(found(), LEFT), (found(), RIGHT)], SIZE).boxes) == 0
    assert len(merge_boxes([], SIZE).boxes) == 0


@pytest.mark.parametrize(("asked", "prepared"), [(None, "fast"), ("usual", "usual")])
def test_array_is_prepared_in_tiles_as_carefully_as_is_asked(
    tiny_detector: Path, monkeypatch: pytest.MonkeyPatch, asked: Speed | None, prepared: Speed
) -> None:
    speeds: list[Speed | None] = []

    def prepare_and_note(*given: Any, **options: Any) -> Prepared:
        speeds.append(options["speed"])
        return prepare(*given, **options)

    monkeypatch.setattr("edgevit.runtime.detector.prepare", prepare_and_note)
    with edgevit.load(tiny_detector, task="detect") as detector:
        detector.in_tiles(scene(), 1, 1, speed=asked)
    assert set(speeds) == {prepared}


def test_detector_finds_in_tiles_what_is_too_small_in_the_whole(tiny_detector: Path) -> None:
    # in the whole picture a square is 16 pixels of the input: a quarter of a cell, which is no colour
    picture = scene(("red", 0, 0), ("blue", 3, 5), ("green", 1, 2), scale=1, size=(128, 192))
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert detector(picture).counts == {}
        # with this overlap the tiles' cells meet the squares' in the first and the last tile
        result = detector.in_tiles(picture, 2, 2)
    assert result.size == (128, 192)
    assert result.source is None
    assert result.counts["red"] == 1
    assert result.counts["blue"] == 1
    boxes = dict(zip(result.labels, result.boxes.tolist(), strict=True))
    assert np.abs(np.array(boxes["red"]) - (0, 0, 32, 32)).max() < 5
    assert np.abs(np.array(boxes["blue"]) - (160, 96, 192, 128)).max() < 5
    assert result.probs[0] == result.scores[result.labels.index("red")]


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (2.0, 2, "columns= is 2.0, expected a whole number"),
        (2, "3", "rows= is '3', expected a whole number"),
        (0, 2, "columns= is 0, expected a whole number, 1 or more"),
        (2, -1, "rows= is -1, expected a whole number, 1 or more"),
    ],
)
def test_what_is_no_number_of_tiles_is_told(tiny_detector: Path, columns: Any, rows: Any, message: str) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector, pytest.raises(edgevit.OptionError, match=message):
        detector.in_tiles(scene(), columns, rows)


def test_a_stream_answers_once_for_all_tiles(tiny_detector: Path, save_image: SaveImage) -> None:
    path = save_image("field.png", scene(("red", 0, 0), ("blue", 3, 5), scale=1, size=(128, 192)))
    with edgevit.load(tiny_detector, task="detect") as detector:
        results = list(detector.stream(path, tiles="2x2", roi=["left=0,0,0.5,1"]))
    assert [(result.moment and result.moment.roi, result.counts) for result in results] == [
        (None, {"red": 1, "blue": 1}),
        ("left", {"red": 1}),
    ]


def in_picture(*parts: tuple[tuple[int, int, int, int], tuple[float, float, float, float]]) -> list[list[float]]:
    """Return what is told of boxes of one class in a picture of SIZE: pairs of a tile and a box, in its pixels."""
    made = []
    for tile, box in parts:
        left, top, _, _ = tile
        made.append((found((box[0] - left, box[1] - top, box[2] - left, box[3] - top, 0.5)), tile))
    return sorted(merge_boxes(made, SIZE).boxes.tolist())


def test_tile_that_begins_one_pixel_within_the_picture_cuts_what_lies_there() -> None:
    assert in_picture((LEFT, (50, 40, 100, 60)), ((1, 0, 180, 100), (1, 40, 60, 60))) == [[1, 40, 100, 60]]
    # and from above
    upper, lower = (0, 0, 180, 60), (0, 1, 180, 100)
    assert in_picture((upper, (40, 30, 60, 60)), (lower, (40, 1, 60, 40))) == [[40, 1, 60, 60]]


def test_tile_that_ends_one_pixel_within_the_picture_cuts_what_lies_there() -> None:
    assert in_picture(((0, 0, 179, 100), (120, 40, 179, 60)), (RIGHT, (80, 40, 130, 60))) == [[80, 40, 179, 60]]
    upper, lower = (0, 0, 180, 99), (0, 40, 180, 100)
    assert in_picture((upper, (40, 60, 60, 99)), (lower, (40, 40, 60, 70))) == [[40, 40, 60, 99]]


def test_pieces_of_less_than_a_pixel_are_compared_by_their_shares_too() -> None:
    assert in_picture((LEFT, (50, 40, 100, 40.5)), (RIGHT, (80, 40, 150, 40.5))) == [[50, 40, 150, 40.5]]


def test_pieces_that_do_not_touch_stay_two() -> None:
    # tiles that share nothing, and pieces two pixels before and behind the border
    near, far = (50, 40, 88, 60), (92, 40, 130, 60)
    assert in_picture(((0, 0, 90, 100), near), ((90, 0, 180, 100), far)) == [[*near], [*far]]
