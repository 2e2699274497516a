"""Drawn scenes: the boxes are those of what is drawn, and the same seed draws the same."""

import numpy as np

from edgevit.export.data.scenes import CLASSES, MOST_HIDDEN, SIZE, draw_scene
from edgevit.runtime.detection.boxes import overlaps


def test_a_scene_depends_on_its_seed_alone() -> None:
    first, second, other = (draw_scene(seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1].boxes, second[1].boxes)
    assert not np.array_equal(first[0], other[0])


def test_scenes_hold_up_to_eight_objects_that_hide_little_of_each_other() -> None:
    truths = [draw_scene(seed)[1] for seed in range(60)]
    counts = [len(truth.boxes) for truth in truths]
    assert max(counts) <= 8
    assert 1 <= counts.count(0) <= 15
    assert set(np.concatenate([truth.classes for truth in truths])) == set(range(len(CLASSES)))
    for truth in truths:
        assert (truth.boxes >= 0).all()
        assert (truth.boxes <= np.array([SIZE[1], SIZE[0]] * 2)).all()
        shared = overlaps(truth.boxes, truth.boxes) - np.eye(len(truth.boxes))
        assert shared.max(initial=0) < MOST_HIDDEN


def test_a_box_ends_where_the_object_does() -> None:
    """A row just outside of a lone object has the ground's colour, one just inside has not everywhere."""
    lone = [
        (image, truth.boxes[0]) for seed in range(40) for image, truth in [draw_scene(seed)] if len(truth.boxes) == 1
    ]
    assert lone
    for image, box in lone:
        left, top, right, bottom = box.astype(int)
        middle = image[(top + bottom) // 2, left:right].astype(float)
        above = image[max(0, top - 3) : max(1, top - 1), left:right].astype(float)
        assert np.abs(middle.mean(0) - above.mean((0, 1))).max() > 20
