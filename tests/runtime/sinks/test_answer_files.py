"""Masks and overlays in a folder: a file for each answer, whatever the pictures are called."""

from pathlib import Path

import numpy as np

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import result_record
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.answer_files import FORMS, AnswerFileSink


def test_no_picture_of_the_same_name_from_another_folder_takes_anothers_place(tmp_path: Path) -> None:
    """Each file is a source of its own, whose first picture has the number 0."""
    sink = AnswerFileSink(tmp_path / "masks", FORMS["segment"]["masks"])
    for folder in ("one", "two", "three", "one"):
        moment = Moment(f"{folder}/cow.jpg", 0, 1.0, 1e9)
        mask, image = np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint8)
        answer: Result = Segmentation(
            np.array([1.0, 0.0], np.float32),
            ("cow", "sky"),
            moment.source,
            mask=mask,
            image=image,
            palette=((255, 0, 0), (0, 255, 0)),
        )
        sink.write(result_record(answer, moment, image, k=1))
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["cow-00000000.png", "cow-00000001.png", "cow-00000002.png", "cow.png"]
