"""Boxes drawn on a picture: where they are, in the colour of their class, legible, and within it."""

import numpy as np
import pytest

from edgevit.runtime.detection.drawing import CROWD, draw_boxes
from edgevit.runtime.images.resample import RGBImage
from tests.made_detections import BODY, counted, detections

RED = (200, 0, 0)


def drawn(*boxes: tuple[float, float, float, float], size: tuple[int, int] = (120, 160), text: str = "hen") -> RGBImage:
    image = np.zeros((*size, 3), np.uint8)
    return draw_boxes(image, np.array(boxes, np.float32).reshape(-1, 4), [RED] * len(boxes), [text] * len(boxes))


def test_frame_is_the_boxs_own_edge_and_the_picture_is_copied() -> None:
    answer = detections(("hen", 0.9, (40, 40, 100, 100)))
    before = answer.image.copy()
    image = answer.overlay()
    assert (answer.image == before).all()
    changed = np.argwhere((image != before).any(axis=2))
    assert all((image[place] != 114).any() for place in ((70, 40), (70, 99), (99, 70)))
    assert (image[70, 41:98] == before[70, 41:98]).all()
    # the text stands above, and nothing below or right of the box
    assert changed.max(axis=0).tolist() == [99, 99]
    assert changed.min(axis=0)[0] < 40


@pytest.mark.parametrize("box", [(0, 0, 160, 120), (150, 0, 160, 10), (0, 110, 10, 120), (159, 119, 160, 120)])
@pytest.mark.parametrize("text", ["hen", "a very long name of a class that is wider than the picture", ""])
def test_box_at_the_edge_is_drawn_within_the_picture(box: tuple[float, float, float, float], text: str) -> None:
    assert drawn(box, text=text).shape == (120, 160, 3)


def test_lines_grow_with_the_picture() -> None:
    small, large = drawn((40, 40, 100, 100), text=""), drawn((400, 400, 1000, 1000), size=(1200, 1600), text="")
    widths = [
        int((image[row, : 200 * step] != 0).any(axis=1).sum())
        for image, row, step in ((small, 90, 1), (large, 900, 10))
    ]
    # left and right edge together
    assert widths[0] == 2
    assert widths[1] >= 6


def test_of_a_crowd_only_the_frames_are_drawn() -> None:
    few, many = drawn(*[(40, 40, 100, 100)] * CROWD), drawn(*[(40, 40, 100, 100)] * (CROWD + 1))
    assert few[:39].any()
    assert not many[:39].any()


def test_text_names_track_class_and_score() -> None:
    answer = detections(("hen", 0.87, BODY), ("fox", 0.5, BODY))
    assert answer.captions() == ["hen 0.87", "fox 0.50"]
    object.__setattr__(answer, "ids", np.array([3, 0]))
    assert answer.captions() == ["#3 hen 0.87", "fox 0.50"]


def test_picture_without_boxes_is_itself() -> None:
    assert (counted().overlay() == 114).all()
