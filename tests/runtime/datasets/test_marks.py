"""Whatever a label file says, the boxes that come of it lie in the picture."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevit.runtime.datasets.marks import SHARES, Mark, Marked, Tally, true_boxes
from edgevit.runtime.images.header import Header

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-20, 100)
sides = st.tuples(numbers, numbers, numbers, numbers)
sizes = st.sampled_from([None, SHARES, (60, 80), (80, 60), (120.0, 160.0), (1e9, 1e9 * 80 / 60)])


@settings(max_examples=300)
@given(st.lists(sides, max_size=5), sizes, st.integers(1, 8))
def test_boxes_lie_in_the_picture_and_each_is_kept_or_counted(
    found: list[tuple[float, float, float, float]], size: tuple[float, float] | None, orientation: int
) -> None:
    tally = Tally()
    header = Header("JPEG", 60, 80, orientation)
    marked = Marked("a.txt", [Mark("hen", one) for one in found], size)
    truth = true_boxes(marked, header, {"hen": 3}, tally)
    if truth is None:
        return
    height, width = (80, 60) if orientation >= 5 else (60, 80)
    assert len(truth.boxes) + tally.boxes.total() == len(found)
    assert (truth.classes == 3).all()
    assert truth.boxes.dtype == np.float32
    left, top, right, bottom = truth.boxes.T
    assert ((left >= 0) & (top >= 0) & (right <= width) & (bottom <= height) & (left < right) & (top < bottom)).all()
