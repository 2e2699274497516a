"""YOLO's label files: each layout that tools write, and each trap that was met in them."""

from pathlib import Path

import numpy as np
import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, read_folder
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.detection.yolo_text import data_yaml, label_lines
from tests.made_labels import found, make_pictures, write

HALF = "0 0.5 0.5 0.5 0.5\n"
"""The middle of the picture."""
MIDDLE = [20.0, 15.0, 60.0, 45.0]
"""Its sides in a made picture of 80 x 60 pixels."""


def read(folder: Path) -> PictureFolder:
    return read_folder(folder, "boxes")


def make(folder: Path, labels: str | bytes, names: str = "hen\nfox\n") -> Path:
    make_pictures(folder, "images/a.jpg")
    write(folder, {"labels/a.txt": labels, "classes.txt": names})
    return folder


@pytest.mark.parametrize(
    ("pictures", "labels", "more"),
    [
        ("images/train/a.jpg", "labels/train/a.txt", {"data.yaml": "names: [hen, fox]"}),
        ("train/images/a.jpg", "train/labels/a.txt", {"data.yaml": "train: ../train/images\nnames: ['hen', 'fox']"}),
        ("train/a.jpg", "train/a.txt", {"train/classes.txt": "hen\nfox", "classes.txt": "hen\nfox"}),
        ("obj_train_data/a.jpg", "obj_train_data/a.txt", {"obj.names": "hen\nfox\n", "obj.data": "", "train.txt": ""}),
        ("images/train/a.jpg", "labels/train/a.txt", {"labels/train/classes.txt": "hen\nfox"}),
        ("day1/a.jpg", "day1/a.txt", {"farm.yml": "train: /home/me/day1\nval: none\nnames: {0: hen, 1: fox}"}),
    ],
    ids=["Ultralytics", "Roboflow", "LabelImg", "CVAT", "names beside the labels", "data.yaml of another machine"],
)
def test_layouts_with_parts(tmp_path: Path, pictures: str, labels: str, more: dict[str, str]) -> None:
    make_pictures(tmp_path, pictures)
    write(tmp_path, {labels: "1 0.5 0.5 0.5 0.5", **more})
    folder = read(tmp_path)
    assert (list(folder.parts), folder.format) == (["train"], "YOLO")
    assert folder.parts["train"].box_names == ("hen", "fox")
    assert list(found(folder.parts["train"]).values()) == [[("fox", MIDDLE)]]
    assert list(folder.notes()) == []


def test_paths_of_another_machine_do_not_matter(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/images/a.jpg", "valid/images/b.jpg")
    yaml = "train: /home/me/farm/train/images\nval: C:\\farm\\valid\\images\nnc: 1\nnames: ['hen']\n"
    write(tmp_path, {"train/labels/a.txt": HALF, "valid/labels/b.txt": HALF, "data.yaml": yaml})
    parts = read(tmp_path).parts
    assert {part: found(pictures) for part, pictures in parts.items()} == {
        "train": {"images/a.jpg": [("hen", MIDDLE)]},
        "val": {"images/b.jpg": [("hen", MIDDLE)]},
    }
    # a part alone finds the names above it
    assert read(tmp_path / "valid").parts["all"].box_names == ("hen",)


def test_label_studio_names_the_classes_in_a_list_or_in_notes(tmp_path: Path) -> None:
    make(tmp_path, "1 0.5 0.5 0.5 0.5")
    assert read(tmp_path).parts["all"].box_names == ("hen", "fox")
    (tmp_path / "classes.txt").unlink()
    write(tmp_path, {"notes.json": '{"categories": [{"id": 1, "name": "fox"}, {"id": 0, "name": "hen"}]}'})
    assert found(read(tmp_path).parts["all"]) == {"images/a.jpg": [("fox", MIDDLE)]}


def test_label_studios_prefix_is_no_part_of_a_pictures_name(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/yard.jpg", "images/0badf00d-gate.jpg")
    labels = {"labels/1a2b3c4d-yard.txt": HALF, "labels/0badf00d-gate.txt": HALF}
    write(tmp_path, {**labels, "classes.txt": "hen"})
    folder = read(tmp_path)
    assert all(boxes == [("hen", MIDDLE)] for boxes in found(folder.parts["all"]).values())
    assert list(folder.notes()) == [f"{tmp_path}: 1 labels matched to pictures whose names lack Label Studio's prefix"]


def test_labels_without_any_picture_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"labels/a.txt": HALF, "classes.txt": "hen", "images/readme": ""})
    with pytest.raises(DataError, match=r"holds 1 label files, but .*images no picture; put the pictures there"):
        read(tmp_path)


@pytest.mark.parametrize("labels", [b"", b"\n", b"  \r\n\r\n"])
def test_an_empty_file_says_that_nothing_is_there(tmp_path: Path, labels: bytes) -> None:
    folder = read(make(tmp_path, labels))
    assert found(folder.parts["all"]) == {"images/a.jpg": []}
    assert list(folder.notes()) == []


def test_a_picture_without_a_file_is_background_and_a_file_without_a_picture_is_told(tmp_path: Path) -> None:
    make(tmp_path, HALF)
    make_pictures(tmp_path, "images/night/b.jpg")
    write(tmp_path, {"labels/gone.txt": HALF})
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {"images/a.jpg": [("hen", MIDDLE)], "images/night/b.jpg": []}
    assert list(folder.notes()) == [
        f"{tmp_path}: 1 file left out: 1 .txt labels without a picture",
        f"{tmp_path}: 1 pictures without a label file, taken for pictures without objects",
    ]


def test_line_ends_and_blanks_of_other_systems(tmp_path: Path) -> None:
    folder = read(
        make(tmp_path, b"\xef\xbb\xbf0 0.5 0.5 0.5 0.5  \r\n\r\n1.0\t0.5 0.5 0.25 0.5\r\n", "hen \r\nfox\r\n\r\n")
    )
    assert found(folder.parts["all"])["images/a.jpg"] == [("hen", MIDDLE), ("fox", [30.0, 15.0, 50.0, 45.0])]


def test_polygons_and_confidences(tmp_path: Path) -> None:
    lines = "0 0.1 0.2 0.3 0.2 0.2 0.6\n1 0.5 0.5 0.5 0.5 0.91\n0 0.1 0.1 0.9 0.1 0.9 0.5 0.1 0.5\n"
    folder = read(make(tmp_path, lines))
    assert found(folder.parts["all"])["images/a.jpg"] == [
        ("hen", [8.0, 12.0, 24.0, 36.0]),
        ("fox", MIDDLE),
        ("hen", [8.0, 6.0, 72.0, 30.0]),
    ]
    label = tmp_path / "labels/a.txt"
    assert list(folder.notes()) == [
        f"{tmp_path}: 2 polygons taken as the box around them (the first in {label}, line 1)",
        f"{tmp_path}: 1 boxes with a sixth number, which is not used (the first in {label}, line 2)",
    ]


def test_boxes_beyond_the_picture_are_cut_or_left_out_and_told(tmp_path: Path) -> None:
    lines = "0 0 0.5 0.5 0.5\n0 1.5 0.5 0.2 0.2\n0 0.5 0.5 0 0.1\n0 0.5 0.5 -0.1 0.1\n" + HALF + HALF
    folder = read(make(tmp_path, lines))
    assert found(folder.parts["all"])["images/a.jpg"] == [("hen", [0.0, 15.0, 20.0, 45.0]), ("hen", MIDDLE)]
    label = tmp_path / "labels/a.txt"
    assert list(folder.notes()) == [
        f"{tmp_path}: 4 boxes left out: 2 without extent (the first in {label}), 1 outside of the picture (the first "
        f"in {label}), 1 marked twice (the first in {label})",
        f"{tmp_path}: 1 boxes cut at the edge of the picture (the first in {label})",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.5 0.5", r"a\.txt, line 2 has class 2, but only 2 are named \(0 to 1\)"),
        ("-1 0.5 0.5 0.5 0.5", "line 2 has class -1"),
        ("0 nan 0.5 0.5 0.5", "line 2 is '0 nan 0.5 0.5 0.5', expected the number of a class and four shares"),
        ("0 0.5 0.5 inf 0.5", "line 2 is"),
        ("hen 0.5 0.5 0.5 0.5", "line 2 is 'hen "),
        ("0.5 0.5 0.5 0.5 0.5", "line 2 is"),
        ("0 0.5 0.5 0.5", "line 2 has 4 numbers, expected 5"),
        ("0 1 1 1 1 1 1 1", "line 2 has 8 numbers, expected 5"),
        ("0 320 240 64 48", "line 2 has 320, expected shares of the picture from 0 to 1, no pixels"),
    ],
)
def test_a_line_that_cannot_be_meant_is_an_error_that_names_it(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, HALF + line))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_shares_of_the_picture_as_it_is_seen(tmp_path: Path, orientation: int) -> None:
    make_pictures(tmp_path, "images/a.jpg", orientation=orientation)
    write(tmp_path, {"labels/a.txt": "0 0.25 0.5 0.5 1", "classes.txt": "hen"})
    height, width = (60, 80) if orientation < 5 else (80, 60)
    assert found(read(tmp_path).parts["all"]) == {"images/a.jpg": [("hen", [0.0, 0.0, width / 2, height])]}


def test_text_files_beside_pictures_are_labels_only_where_classes_are_named(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path, {"a.txt": "a hen by the gate", "readme.txt": "thanks"})
    assert read(tmp_path).parts["all"].boxes is None
    write(tmp_path, {"a.txt": HALF, "classes.txt": "hen"})
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {"a.jpg": [("hen", MIDDLE)], "b.jpg": []}
    assert list(folder.notes()) == [f"{tmp_path}: 1 pictures without a label file, taken for pictures without objects"]


def test_names_come_from_a_file_else_from_the_model(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": HALF})
    with pytest.raises(DataError, match=r"nothing names their classes; write .*classes\.txt"):
        read(tmp_path)
    assert read_folder(tmp_path, "boxes", ("cow",)).parts["all"].box_names == ("cow",)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: {0: hen, 2: fox}", "other keys than the numbers 0 to 1"),
        ("names: hen", "names is no list that ends; write a name a line"),
        ("nc: 3\nnames: [hen, fox]", "nc is 3, but there are 2 names"),
        ("names: [hen, fox", "names is no list that ends"),
        ("names: [hen, hen]", "none empty and none twice"),
        ("names: []", "names 0 classes"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(tmp_path: Path, yaml: str, message: str) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": HALF, "data.yaml": yaml})
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_part_without_labels_is_listed_and_nothing_is_known_of_it(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/images/a.jpg", "test/images/b.jpg")
    write(tmp_path, {"train/labels/a.txt": HALF, "data.yaml": "names: [hen]"})
    parts = read(tmp_path).parts
    assert list(parts) == ["train", "test"]
    assert parts["test"].boxes is None


def test_parts_within_images_may_lack_labels_and_other_folders_are_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/train/a.jpg", "images/test/b.jpg", "images/new/c.jpg")
    write(tmp_path, {"labels/train/a.txt": HALF, "classes.txt": "hen"})
    folder = read(tmp_path)
    assert {part: pictures.boxes is None for part, pictures in folder.parts.items()} == {"train": False, "test": True}
    assert list(folder.notes()) == [f"{tmp_path}: folders left out: images/new"]


def test_lists_divide_a_folder_without_parts(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a 1.jpg", "images/b.v2.jpg", "images/c.jpg")
    labels = {f"labels/{name}.txt": HALF for name in ("a 1", "b.v2", "c")}
    lists = {"train.txt": "data/images/a 1.jpg\n./images/b.v2.jpg\n", "valid.txt": "C:\\x\\images\\c.jpg\n"}
    write(tmp_path, {**labels, **lists, "classes.txt": "hen"})
    parts = read(tmp_path).parts
    assert {part: pictures.names for part, pictures in parts.items()} == {
        "train": ("images/a 1.jpg", "images/b.v2.jpg"),
        "val": ("images/c.jpg",),
    }
    write(tmp_path, {"train.txt": "x.jpg\n", "valid.txt": "y.jpg\n"})
    with pytest.raises(DataError, match="the lists in .* name none of the 3 pictures there"):
        read(tmp_path)


def test_lists_of_classes_that_disagree_are_refused(tmp_path: Path) -> None:
    """LabelImg writes one into each folder, in the order in which classes were met."""
    make_pictures(tmp_path, "train/a.jpg", "val/b.jpg")
    write(tmp_path, {"train/a.txt": HALF, "val/b.txt": HALF, "train/classes.txt": "hen\nfox"})
    assert read(tmp_path).parts["val"].box_names == ("hen", "fox")
    write(tmp_path, {"val/classes.txt": "fox\nhen"})
    with pytest.raises(
        DataError, match=r"train.classes\.txt and .*val.classes\.txt do not name the same classes in the"
    ):
        read(tmp_path)


def test_files_of_others_do_not_disturb(tmp_path: Path) -> None:
    make(tmp_path, HALF)
    write(tmp_path, {".pre-commit.yaml": "names: [", "compose.yml": "services: {\n a: [", "classes.txt": "hen"})
    assert found(read(tmp_path).parts["all"]) == {"images/a.jpg": [("hen", MIDDLE)]}
    write(tmp_path.parent, {"data.yaml": "names: 3"})
    assert read(tmp_path).parts["all"].box_names == ("hen",), "the folder above is only asked by a part"


def test_labels_that_a_run_wrote_are_read(tmp_path: Path) -> None:
    sides = np.array([[20, 15, 60, 45], [0, 0, 80, 7]], np.float32)
    answer = Detections(
        probs=np.array([0.9, 0.8], np.float32),
        names=("hen", "red: fox"),
        boxes=sides,
        scores=np.array([0.9, 0.8], np.float32),
        classes=np.array([1, 0]),
        image=np.zeros((60, 80, 3), np.uint8),
    )
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": label_lines(answer), "data.yaml": data_yaml(answer.names)})
    pictures = next(iter(read(tmp_path).parts.values()))
    assert list(found(pictures).values()) == [[("red: fox", sides[0].tolist()), ("hen", sides[1].tolist())]]


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    make(tmp_path, HALF)
    write(tmp_path, {"images/b.jpg": b"\xff\xd8 no more", "labels/b.txt": HALF})
    folder = read(tmp_path)
    assert list(found(folder.parts["all"])) == ["images/a.jpg"]
    assert list(folder.notes()) == [
        f"{tmp_path}: 1 file left out: 1 damaged pictures (the first in {tmp_path / 'images/b.jpg'})"
    ]
