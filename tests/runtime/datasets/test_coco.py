"""COCO's documents: layouts, and each trap that was met in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, read_folder
from tests.made_labels import coco, found, make_pictures, write


def read(folder: Path) -> PictureFolder:
    return read_folder(folder, "boxes")


def one(image: int, category: int, *box: float, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(box), **more}


@pytest.mark.parametrize(
    ("picture", "document", "told"),
    [
        ("train/a.jpg", "train/_annotations.coco.json", "a.jpg"),
        ("images/train/a.jpg", "annotations/instances_train.json", "a.jpg"),
        ("train2017/a.jpg", "annotations/instances_train2017.json", "a.jpg"),
        ("images/a.jpg", "annotations/instances_Train.json", "train/a.jpg"),
    ],
    ids=["Roboflow", "CVAT", "COCO", "pictures of all parts in one folder"],
)
def test_layouts_with_parts(tmp_path: Path, picture: str, document: str, told: str) -> None:
    make_pictures(tmp_path, picture)
    write(tmp_path, {document: coco({told: 7}, {"hen": 1}, one(7, 1, 10, 20, 30, 5))})
    folder = read(tmp_path)
    assert (list(folder.parts), folder.format) == (["train"], "COCO")
    assert list(found(folder.parts["train"]).values()) == [[("hen", [10.0, 20.0, 40.0, 25.0])]]
    assert list(folder.notes()) == []


def test_what_lies_beside_the_documents_of_several_parts_is_told_once(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    for part, name in (("train", "a.jpg"), ("val", "b.jpg")):
        write(tmp_path, {f"annotations/instances_{part}.json": coco({name: 1}, {"hen": 1}, one(1, 1, 0, 0, 9, 9))})
    assert list(read(tmp_path).notes()) == []
    write(tmp_path, {"notes.txt": ""})
    assert list(read(tmp_path).notes()) == [f"{tmp_path}: 1 file left out: 1 .txt"]


@pytest.mark.parametrize("told", ["images/a.jpg", "images\\a.jpg", "/data/upload/1/a.jpg", "0123abcd-a.jpg", "a.jpg"])
def test_label_studio_tells_where_a_picture_once_was(tmp_path: Path, told: str) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"result.json": coco({told: 0}, {"hen": 0}, one(0, 0, 1, 2, 3, 4))})
    assert found(read(tmp_path).parts["all"]) == {"images/a.jpg": [("hen", [1.0, 2.0, 4.0, 6.0])]}


def test_ids_have_gaps_any_order_and_begin_anywhere(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    boxes = (one(900, 90, 0, 0, 9, 9), one(5, 0, 1, 1, 9, 9), one(5, 17, 2, 2, 9, 9))
    write(tmp_path, {"x.json": coco({"b.jpg": 900, "a.jpg": 5}, {"fox": 90, "hen": 0, "cow": 17}, *boxes)})
    pictures = read(tmp_path).parts["all"]
    assert pictures.box_names == ("hen", "cow", "fox")
    assert found(pictures) == {
        "a.jpg": [("hen", [1, 1, 10, 10]), ("cow", [2, 2, 11, 11])],
        "b.jpg": [("fox", [0, 0, 9, 9])],
    }


def test_the_projects_name_is_no_class(tmp_path: Path) -> None:
    """Roboflow's category 0, of which the others are kinds."""
    make_pictures(tmp_path, "train/a.jpg", "valid/b.jpg")
    categories = [
        {"id": 0, "name": "farm", "supercategory": "none"},
        {"id": 1, "name": "fox", "supercategory": "farm"},
        {"id": 2, "name": "hen", "supercategory": "farm"},
    ]
    for part, name, number in (("train", "a.jpg", 1), ("valid", "b.jpg", 2)):
        document = json.loads(coco({name: 0}, {}, one(0, number, 0, 0, 9, 9)))
        write(tmp_path, {f"{part}/_annotations.coco.json": json.dumps({**document, "categories": categories})})
    parts = read(tmp_path).parts
    assert [parts[part].box_names for part in parts] == [("fox", "hen")] * 2, "fox has no box in valid/"
    assert found(parts["val"]) == {"b.jpg": [("hen", [0, 0, 9, 9])]}


def test_a_class_that_is_above_another_and_has_boxes_is_kept(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    document = json.loads(coco({"a.jpg": 0}, {}, one(0, 0, 0, 0, 9, 9)))
    document["categories"] = [{"id": 0, "name": "bird"}, {"id": 1, "name": "hen", "supercategory": "bird"}]
    write(tmp_path, {"x.json": json.dumps(document)})
    assert read(tmp_path).parts["all"].box_names == ("bird", "hen")


def test_crowds_polygons_and_what_has_no_sides(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    polygons = [[10, 10, 20, 12, 15, 30], [40, 11, 50, 11, 45, 20]]
    boxes = (
        one(0, 1, 0, 0, 9, 9, iscrowd=1, segmentation={"counts": [1], "size": [60, 80]}),
        {"image_id": 0, "category_id": 1, "segmentation": polygons},
        one(0, 1, segmentation={"counts": "abc", "size": [60, 80]}),
    )
    write(tmp_path, {"x.json": coco({"a.jpg": 0}, {"hen": 1}, *boxes)})
    folder = read(tmp_path)
    pictures = folder.parts["all"]
    assert found(pictures) == {"a.jpg": [("hen", [0, 0, 9, 9]), ("hen", [10, 10, 50, 30])]}
    assert pictures.boxes is not None
    assert pictures.boxes[0].crowd.tolist() == [True, False]
    assert list(folder.notes()) == [
        f"{tmp_path}: 1 box left out: 1 without sides (the first in {tmp_path / 'x.json'}, annotations[2])",
        f"{tmp_path}: 1 polygons taken as the box around them (the first in {tmp_path / 'x.json'}, annotations[1])",
    ]


def test_pictures_that_are_only_on_one_side_are_told(tmp_path: Path) -> None:
    """A document names its pictures without objects, too; so of others nobody knows whether they were looked at."""
    make_pictures(tmp_path, "a.jpg", "empty.jpg", "new.jpg")
    document = coco(
        {"a.jpg": 0, "empty.jpg": 1, "gone.jpg": 2}, {"hen": 1}, one(0, 1, 0, 0, 9, 9), one(2, 1, 0, 0, 9, 9)
    )
    write(tmp_path, {"x.json": document})
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {"a.jpg": [("hen", [0, 0, 9, 9])], "empty.jpg": []}
    assert list(folder.notes()) == [
        f"{tmp_path}: 2 files left out: 1 named by a document, but not there, 1 pictures that no document names"
    ]


def test_the_documents_size_is_compared_with_the_pictures(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    document = json.loads(coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 20, 40, 20, 40), size=(120, 160)))
    write(tmp_path, {"x.json": json.dumps(document)})
    assert found(read(tmp_path).parts["all"]) == {"a.jpg": [("hen", [10, 20, 20, 40])]}
    del document["images"][0]["height"]
    write(tmp_path, {"x.json": json.dumps(document)})
    assert found(read(tmp_path).parts["all"]) == {"a.jpg": [("hen", [20, 40, 40, 60])]}, (
        "unknown: in pixels of the picture"
    )


def test_sizes_below_zero_and_boxes_of_unknown_pictures_are_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    boxes = (one(0, 1, 50, 50, -20, -20), one(3, 1, 0, 0, 9, 9))
    write(tmp_path, {"x.json": coco({"a.jpg": 0}, {"hen": 1}, *boxes)})
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {"a.jpg": []}
    (note,) = folder.notes()
    assert note.startswith(f"{tmp_path}: 2 boxes left out: 1 of pictures that are not listed (the first in ")
    assert ", 1 without extent (the first in " in note


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            coco({"a.jpg": 0}, {"hen": 1}, one(0, 2, 0, 0, 9, 9)),
            r"annotations\[0\] is of category 2, which categories does",
        ),
        (coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 9, 9)), r"annotations\[0\].bbox has 3 numbers"),
        (
            coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, float("nan"), 9)),
            r"bbox\[2\] is nan, expected a finite number",
        ),
        (coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, "9", 9)), r"bbox\[2\] is '9', expected"),  # type: ignore[arg-type]
        ('{"images": [], "annotations": [], "categories": 3}', "categories is 3, expected a list"),
        (
            '{"images": [], "annotations": [], "categories": []',
            "x.json is no JSON that can be read: it ends amid a value, after 50 characters",
        ),
        (
            '{"images": [], "images": [], "annotations": [], "categories": []}',
            "x.json is no JSON that can be read: the key 'images' stands twice in one object; leave one out",
        ),
        (
            '{"images": ' + "[" * 200 + ', "annotations", "categories"',
            "is no JSON that can be read: nested deeper than 100",
        ),
        (coco({"b.jpg": 0}, {"hen": 1}), "names 1 pictures, but none of them is in"),
        (coco({"1.jpg": 0}, {"hen": 1}), r"1.jpg may be .*1\.jpg or .*1\.jpg; give the pictures different names"),
    ],
)
def test_a_damaged_document_is_an_error_that_names_the_place(tmp_path: Path, document: str, message: str) -> None:
    make_pictures(tmp_path, "a.jpg", "one/1.jpg", "two/1.jpg")
    write(tmp_path, {"x.json": document})
    with pytest.raises(DataError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("field", ["images", "categories"])
def test_two_of_one_id_are_refused(tmp_path: Path, field: str) -> None:
    """A box would be of the class that stands last, or in both pictures."""
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    document = json.loads(coco({"a.jpg": 0, "b.jpg": 1}, {"hen": 0, "fox": 1}, one(0, 0, 1, 2, 3, 4)))
    document[field][1]["id"] = 0
    write(tmp_path, {"x.json": json.dumps(document)})
    with pytest.raises(DataError, match=f"x.json: two of its {field} have the id 0, so that nobody knows which"):
        read(tmp_path)


def test_a_document_that_tells_of_no_part_beside_others_is_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    document = coco({"a.jpg": 0}, {"hen": 1})
    write(tmp_path, {f"annotations/instances_{name}.json": document for name in ("train", "farm")})
    with pytest.raises(DataError, match=r"instances_farm\.json does not say of which part it tells"):
        read(tmp_path)


def test_captions_and_keypoints_of_the_same_pictures_are_not_read(tmp_path: Path) -> None:
    make_pictures(tmp_path, "val2017/a.jpg")
    document = coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, 9, 9))
    names = ("instances_val2017", "person_keypoints_val2017", "captions_val2017")
    write(tmp_path, {f"annotations/{name}.json": document for name in names})
    assert found(read(tmp_path).parts["val"]) == {"val2017/a.jpg": [("hen", [0, 0, 9, 9])]}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_document_that_is_cut_off_is_named_wherever_it_ends(tmp_path: Path, share: float) -> None:
    """It lacks some of the keys by which a document is known, too."""
    make_pictures(tmp_path, "a.jpg")
    whole = coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, 9, 9))
    write(tmp_path, {"x.json": whole[: int(len(whole) * share)]})
    with pytest.raises(DataError, match=r"x\.json is no JSON that can be read: it ends amid a value, after .*copy it"):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_document_as_windows_saves_it_is_named(tmp_path: Path, encoding: str) -> None:
    make_pictures(tmp_path, "a.jpg")
    write(tmp_path, {"x.json": coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, 9, 9)).encode(encoding)})
    with pytest.raises(DataError, match=r"x\.json is UTF-16, not UTF-8 text; save it as UTF-8"):
        read(tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        b'{"images": []}',
        b'\xef\xbb\xbf{"images": []}',
        '{"images": []}'.encode("utf-16"),
        b'{"images": 1}\n{"images": 2}\n',
        b'{"images": 1, // for the camera\n}',
        b'{"images": 1, "images": 2}',
    ],
)
def test_another_document_about_images_is_none_of_coco(tmp_path: Path, other: bytes) -> None:
    make_pictures(tmp_path, "a.jpg")
    write(tmp_path, {"x.json": other, "y.json": coco({"a.jpg": 0}, {"hen": 1}, one(0, 1, 0, 0, 9, 9))})
    assert found(read(tmp_path).parts["all"]) == {"a.jpg": [("hen", [0.0, 0.0, 9.0, 9.0])]}
