"""Masks and overlays in a folder: a file for each answer, whatever the pictures are called."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.answer_files import FORMS, AnswerFileSink


def mask_of(source: str, number: int = 0, level: int = 0, **facts: Any) -> Record:
    """Return the answer for a picture whose mask is of one class everywhere."""
    moment = Moment(source, number, 1.0, 1e9)
    mask, image = np.full((4, 6), level, np.uint8), np.zeros((4, 6, 3), np.uint8)
    probs, palette = np.array([1.0, 0.0], np.float32), ((255, 0, 0), (0, 255, 0))
    answer: Result = Segmentation(probs, ("cow", "sky"), source, mask=mask, image=image, palette=palette, **facts)
    return result_record(answer, moment, image, k=1)


def masks(folder: Path) -> AnswerFileSink:
    return AnswerFileSink(folder, FORMS["segment"]["masks"])


def test_no_picture_of_the_same_name_from_another_folder_takes_anothers_place(tmp_path: Path) -> None:
    """Each file is a source of its own, whose first picture has the number 0."""
    sink = masks(tmp_path / "masks")
    for folder in ("one", "two", "three", "one"):
        sink.write(mask_of(f"{folder}/cow.jpg"))
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["cow-00000000.png", "cow-00000001.png", "cow-00000002.png", "cow.png"]


def test_pictures_of_folders_within_the_one_that_is_read_have_their_files_in_such_folders(tmp_path: Path) -> None:
    sink = AnswerFileSink(tmp_path / "masks", FORMS["segment"]["masks"], [Path("photos")])
    for name in ("photos/a.jpg", "photos/pen 4/a.jpg", "photos/pen 4/a.png", "photos/pen 4/day/b.jpg", "other/a.jpg"):
        sink.write(mask_of(name))
    names = sorted(path.relative_to(tmp_path / "masks").as_posix() for path in (tmp_path / "masks").rglob("*.png"))
    assert names == ["a-00000000.png", "a.png", "pen 4/a-00000000.png", "pen 4/a.png", "pen 4/day/b.png"]


def test_picture_of_another_folder_does_not_lie_in_the_one_that_is_read(tmp_path: Path) -> None:
    sink = AnswerFileSink(tmp_path / "masks", FORMS["segment"]["masks"], [Path("."), Path("../other")])
    for name in ("pen/a.jpg", "../other/pen/b.jpg"):
        sink.write(mask_of(name))
    names = sorted(path.relative_to(tmp_path / "masks").as_posix() for path in (tmp_path / "masks").rglob("*.png"))
    assert names == ["pen/a.png", "pen/b.png"]


def test_file_that_was_there_before_the_run_is_left_and_the_first_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"somebody's work")
    (tmp_path / "c.png").symlink_to(tmp_path / "nothing.png")
    sink = masks(tmp_path)
    for name in ("a", "b", "c", "d"):
        sink.write(mask_of(f"photos/{name}.jpg"))
    assert {(tmp_path / f"{name}.png").read_bytes() for name in ("a", "b")} == {b"somebody's work"}
    assert not (tmp_path / "nothing.png").exists()
    assert (sink.written, sink.left) == (1, 3)
    (told,) = caplog.messages
    assert told.startswith(f"{tmp_path}/a.png was there before and says something else; such files are left as they")


def test_the_same_run_again_finds_its_files_as_they_are_to_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        sink = masks(tmp_path)
        sink.write(mask_of("a.jpg"))
        sink.write(mask_of("clip.mp4", 7, position_s=0.7))
        assert (sink.written, sink.left) == (2, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "clip.mp4-00000007.png"]
    assert not caplog.messages


def test_camera_that_starts_again_numbers_on_from_what_is_there(tmp_path: Path) -> None:
    for level in (0, 1):
        sink = masks(tmp_path)
        for number in range(2):
            sink.write(mask_of("camera:0", number, level, age_ms=1.0))
    found = {path.name: read_mask(path)[0, 0] for path in tmp_path.iterdir()}
    assert found == {f"camera_0-0000000{number}.png": number // 2 for number in range(4)}
