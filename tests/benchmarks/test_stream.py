"""benchmarks/stream.py measures the loop that streams have today."""

import cv2
import numpy as np

from benchmarks.stream import overheads_ms


def test_each_frame_of_a_stream_has_its_overhead() -> None:
    made = [cv2.imencode(".jpg", np.full((32, 48, 3), level, np.uint8))[1].tobytes() for level in (100, 200)]
    spent = overheads_ms(5, made)
    assert len(spent) == 5
    assert min(spent) > 0
