"""A teacher is asked once about each picture; what was answered is kept, until it or the pictures are others."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevit.errors import ModelFileError, OptionError
from edgevit.training.teacher import ANSWERS, CHUNK, LEAST, Teacher, answered, ask, open_teacher
from tests.training.made_teacher import write_teacher

PLAIN: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class Counted:
    """A classifier that counts the pictures it is shown."""

    def __init__(self, classifier: Any) -> None:
        self.classifier, self.count = classifier, 0

    def __call__(self, paths: list[Path]) -> Any:
        self.count += len(paths)
        return self.classifier(paths)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.classifier, name)


def counted(path: Path) -> tuple[Teacher, Any]:
    teacher = open_teacher(path, **PLAIN)
    count: Any = Counted(teacher.classifier)
    return dataclasses.replace(teacher, classifier=count), count


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Make more pictures than are answered at once, of even colours that a PNG keeps."""
    colors = np.random.default_rng(0).integers(0, 256, (2 * CHUNK + 5, 3), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(len(colors))]
    for path, color in zip(paths, colors, strict=True):
        cv2.imwrite(str(path), np.full((20, 20, 3), color[::-1], np.uint8))
    return paths


def test_answers_are_logarithms_of_probabilities_of_whole_pictures(pictures: list[Path], tmp_path: Path) -> None:
    teacher, _ = counted(write_teacher(tmp_path / "t.onnx", sharpness=3))
    answers = ask(teacher, pictures, tmp_path)
    assert answers is not None
    assert answers.shape == (len(pictures), 8)
    assert answers.dtype == np.float16
    assert isinstance(answers, np.memmap), "however many there are, they take no memory"
    image = cv2.imread(str(pictures[7]))
    assert image is not None
    red, green, blue = (float(level) / 255 for level in image[0, 0, ::-1])
    # softmax of 3 * corner . colour - 3/2 * |corner|^2 is a product of three shares, one for each channel
    up = {c: 1 / (1 + np.exp(1.5 - 3 * level)) for c, level in (("r", red), ("g", green), ("b", blue))}
    yellow = up["r"] * up["g"] * (1 - up["b"])
    assert float(answers[7][6]) == pytest.approx(np.log(yellow), abs=0.01)


def test_a_probability_of_nothing_has_a_logarithm(pictures: list[Path], tmp_path: Path) -> None:
    teacher, _ = counted(write_teacher(tmp_path / "t.onnx", sharpness=1e4))
    answers = ask(teacher, pictures, tmp_path)
    assert answers is not None
    assert float(answers.min()) == pytest.approx(np.log(LEAST), abs=0.02)


def test_each_picture_is_shown_once_however_often_the_run_stops(pictures: list[Path], tmp_path: Path) -> None:
    file = write_teacher(tmp_path / "t.onnx")
    whole = ask(counted(file)[0], pictures, _folder(tmp_path / "whole"))
    out = _folder(tmp_path / "parts")
    first, shown = counted(file)
    assert ask(first, pictures, out, done=lambda count: True) is None
    assert (shown.count, answered(first, pictures, out)) == (CHUNK, CHUNK)
    with (out / ANSWERS).open("ab") as rows:
        rows.write(b"\0\0\0")  # as if killed within a row
    second, shown = counted(file)
    again = ask(second, pictures, out)
    assert shown.count == len(pictures) - CHUNK
    third, shown = counted(file)
    assert np.array_equal(ask(third, pictures, out), again)  # type: ignore[arg-type]
    assert shown.count == 0
    assert np.array_equal(whole, again)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", ["teacher", "preparation", "fewer", "order", "content"])
def test_another_teacher_or_other_pictures_are_answered_anew(pictures: list[Path], tmp_path: Path, change: str) -> None:
    file = write_teacher(tmp_path / "t.onnx")
    ask(counted(file)[0], pictures, tmp_path)
    teacher, shown = counted(file)
    if change == "teacher":
        teacher, shown = counted(write_teacher(tmp_path / "t.onnx", sharpness=7))
    elif change == "preparation":
        other = open_teacher(file, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
        shown = counted(file)[1]
        shown.classifier = other.classifier
        teacher = dataclasses.replace(other, classifier=shown)
    elif change == "fewer":
        pictures = pictures[1:]
    elif change == "order":
        pictures = pictures[::-1]
    else:
        cv2.imwrite(str(pictures[3]), np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8))
    assert answered(teacher, pictures, tmp_path) == 0
    answers = ask(teacher, pictures, tmp_path)
    assert shown.count == len(pictures)
    fresh = ask(teacher, pictures, _folder(tmp_path / "fresh"))
    assert np.array_equal(answers, fresh)  # type: ignore[arg-type]


def test_the_folder_of_the_pictures_may_be_moved(pictures: list[Path], tmp_path: Path) -> None:
    teacher, _ = counted(write_teacher(tmp_path / "t.onnx"))
    home = [_folder(tmp_path / place / "cow") for place in "ab"]
    moved = [[folder / path.name for path in pictures[:3]] for folder in home]
    for paths in moved:
        for path, source in zip(paths, pictures[:3], strict=True):
            path.write_bytes(source.read_bytes())
    ask(teacher, moved[0], tmp_path)
    assert answered(teacher, moved[1], tmp_path) == 3


def test_a_card_says_who_taught(tmp_path: Path) -> None:
    facts = counted(write_teacher(tmp_path / "t.onnx"))[0].facts()
    assert (facts["file"], facts["classes"], facts["exported_from"]) == ("t.onnx", 8, None)
    assert json.dumps(facts)


def test_what_is_needed_of_a_foreign_teacher_is_asked_for(tmp_path: Path) -> None:
    file = write_teacher(tmp_path / "t.onnx")
    nothing: dict[str, Any] = {}
    for told in (nothing, {"mean": (0.5, 0.5, 0.5)}):
        with pytest.raises(OptionError, match="normalisation is unknown: give teacher_mean= and teacher_std="):
            open_teacher(file, **told)
    with pytest.raises(OptionError, match="takes images of any size; export it for the size"):
        open_teacher(write_teacher(tmp_path / "any.onnx", side=0), **PLAIN)
    with pytest.raises(ModelFileError, match=r"nothing.onnx"):
        open_teacher(tmp_path / "nothing.onnx")
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ModelFileError, match=r"expected .onnx or .tflite"):
        open_teacher(tmp_path / "weights.pt")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
