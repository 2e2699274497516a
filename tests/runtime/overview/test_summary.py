"""What a folder holds, in numbers: made folders whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgevit
from edgevit.errors import DataError, OptionError
from edgevit.runtime.datasets.parts import Part
from edgevit.runtime.images.mask_png import mask_png
from edgevit.runtime.overview.summary import BoxSizes, PartSummary, describe_data, suggest_size
from tests.made_labels import make_pictures, write


def test_boxes_by_part_class_and_size(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/images/a.jpg", "train/images/b.jpg", "valid/images/c.jpg")
    labels = {
        "train/labels/a.txt": "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.25 0.25\n1 0.5 0.5 0 0",
        "train/labels/b.txt": "",
        "valid/labels/c.txt": "1 0.5 0.5 1 1",
    }
    write(tmp_path, {**labels, "data.yaml": "names: [hen, fox, cow]\nroboflow:\n  license: MIT\n"})
    found = edgevit.describe_data(tmp_path)
    assert (found.task, found.format) == ("detect", "YOLO boxes")
    assert found.parts == {
        "train": PartSummary(2, 1, {"hen": 1, "fox": 1, "cow": 0}),
        "val": PartSummary(1, 0, {"hen": 0, "fox": 1, "cow": 0}),
    }
    # shares 0.25, 0.5 and 1: the median, and what lies a tenth of a step from both ends
    assert found.box_sizes == BoxSizes(0.5, 0.275, 0.95)
    assert (found.picture_size, found.same_form) == ((60, 80), 1.0)
    assert found.licences == ("MIT (data.yaml)",)
    assert [note.partition(" (")[0] for note in found.notes] == [
        f"{tmp_path / 'train'}: 1 box left out: 1 without extent"
    ]


def test_classes_of_folders(tmp_path: Path) -> None:
    make_pictures(tmp_path, "hen/1.jpg", "hen/2.jpg", "fox/1.jpg")
    write(tmp_path, {"fox/2.jpg": b"no picture", "notes.txt": "", "LICENSE": "\nMIT License\n\nCopyright"})
    found = describe_data(str(tmp_path))
    assert (found.task, found.format, found.box_sizes, found.imgsz) == (
        "classify",
        "a folder for each class",
        None,
        None,
    )
    assert found.parts == {"all": PartSummary(4, None, {"fox": 2, "hen": 2})}
    assert found.licences == ("MIT License (LICENSE)",)
    assert found.notes[0] == f"{tmp_path}: 2 files left out: 1 .txt, 1 without suffix"
    assert found.notes[1].startswith(
        f"{tmp_path}: 1 pictures cannot be read; the first: {tmp_path / 'fox/2.jpg'} is not"
    )


@pytest.mark.parametrize("part", ["all", "train"])
def test_classes_of_masks(tmp_path: Path, part: Part) -> None:
    inside = "" if part == "all" else f"{part}/"
    make_pictures(tmp_path, f"images/{inside}a.jpg", f"images/{inside}b.jpg")
    masks = {f"{inside}a": [[0, 0, 2]], f"{inside}b": [[2, 2, 255]]}
    write(tmp_path, {f"masks/{name}.png": mask_png(np.array(mask, np.uint8), ()) for name, mask in masks.items()})
    found = describe_data(tmp_path)
    assert (found.task, found.format) == ("segment", "images beside masks")
    assert found.parts == {part: PartSummary(2, None, {"0": 1, "2": 2})}
    write(
        tmp_path,
        {
            "classes.txt": "soil\ncrop\n",
            f"masks/{inside}b.png": mask_png(np.array([[1, 3, 299, 65535]], np.uint16), ()),
        },
    )
    found = describe_data(tmp_path)
    assert found.parts == {part: PartSummary(2, None, {"soil": 1, "crop": 1, "2": 1, "3": 1, "299": 1})}


def test_masks_that_training_refuses_or_leaves_out_are_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, *(f"images/{name}.jpg" for name in "abcd"), size=(1, 3))
    masks = {"a": [[0, 1, 2]], "b": [[0, 1]], "c": [[255, 255, 255]]}
    write(tmp_path, {f"masks/{name}.png": mask_png(np.array(mask, np.uint8), ()) for name, mask in masks.items()})
    Image.new("RGB", (3, 1)).save(tmp_path / "masks/d.png")
    write(tmp_path, {"classes.txt": "soil\ncrop\n"})
    damaged, refused, without = describe_data(tmp_path).notes
    assert "1 masks cannot be read" in damaged
    assert "d.png is a colour picture" in damaged
    assert "2 masks that training refuses; the first: " in refused
    assert "a.png has class 2, but there are 2 classes" in refused
    assert without.endswith(
        f"1 masks whose pixels have no class at all, as 255 is none; the first: {tmp_path / 'masks/c.png'}"
    )
    (tmp_path / "classes.txt").unlink()
    _, sizes, _, names = describe_data(tmp_path).notes
    assert "b.png has (1, 2) pixels (height, width), its picture (1, 3)" in sizes
    assert "no classes.txt names the classes, which training needs" in names


def test_0_and_255_are_one_class_alone(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", size=(1, 3))
    write(tmp_path, {"masks/a.png": mask_png(np.array([[0, 0, 255]], np.uint8), ()), "classes.txt": "soil\ncrop\n"})
    assert describe_data(tmp_path).notes == (
        f"{tmp_path}: the masks have one class alone, of which nothing can be learnt; 255 is none",
    )


def test_a_mask_without_a_picture_is_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/x/a.jpg")
    masks = ("x/a", "x/b", "a")
    write(tmp_path, {f"masks/{name}.png": mask_png(np.zeros((60, 80), np.uint8), ()) for name in masks})
    write(tmp_path, {"classes.txt": "soil\ncrop\n"})
    found = describe_data(tmp_path)
    assert found.notes == (f"{tmp_path}: 2 files left out: 2 .png in masks that belong to no picture",)


def test_pictures_alone_are_for_no_task(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg", size=(90, 30))
    found = describe_data(tmp_path)
    assert (found.task, found.format, found.picture_size) == (None, "pictures alone", (90, 30))
    with pytest.raises(DataError, match="holds pictures, but no boxes that are known here; see docs/data.md"):
        describe_data(tmp_path, "detect")


def test_a_task_can_be_said(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": "", "classes.txt": "hen"})
    assert describe_data(tmp_path).task == "detect"
    assert describe_data(tmp_path, "classify").parts == {"all": PartSummary(1, None, {"images": 1})}
    with pytest.raises(OptionError, match="task= is 'count', expected one of classify, segment, detect"):
        describe_data(tmp_path, "count")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "sides", "expected"),
    [
        ([(480, 640)] * 10, [0.1] * 20, (256, 320)),
        ([(640, 480)] * 10, [0.1] * 20, (320, 256)),
        ([(720, 1280)] * 10, [0.1] * 20, (192, 320)),
        # 0.02 of 320 pixels are 6.4, of 416 8.3
        ([(500, 500)] * 10, [0.02] * 20, (416, 416)),
        ([(500, 500)] * 10, [0.001] * 20, (640, 640)),
        # one small box among thirty is less than 5 %
        ([(500, 500)] * 10, [0.1] * 29 + [0.001], (320, 320)),
        ([(480, 640), (640, 480)] * 5, [0.1], (320, 320)),
        ([(480, 640)] * 9 + [(640, 480)], [0.1], (256, 320)),
    ],
)
def test_size_to_begin_with(sizes: list[tuple[int, int]], sides: list[float], expected: tuple[int, int]) -> None:
    assert suggest_size(np.array(sizes), np.array(sides)) == expected
