"""Pascal VOC's label files: layouts, traps, and documents that mean harm."""

from pathlib import Path

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, read_folder
from tests.made_labels import found, make_pictures, voc, write

BOX = [10.0, 20.0, 30.0, 40.0]


def read(folder: Path) -> PictureFolder:
    return read_folder(folder, "boxes")


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("JPEGImages/a.jpg", "Annotations/a.xml"),
        ("images/a.jpg", "annotations/a.xml"),
        ("a.jpg", "a.xml"),
        ("a.jpg", "Annotations/a.xml"),
    ],
)
def test_layouts(tmp_path: Path, picture: str, label: str) -> None:
    make_pictures(tmp_path, picture)
    write(tmp_path, {label: voc(("hen", BOX))})
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {picture: [("hen", BOX)]}
    assert (folder.format, list(folder.notes())) == ("Pascal VOC", [])


def test_roboflow_puts_labels_beside_the_pictures_of_each_part(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/a.jpg", "valid/b.jpg")
    write(tmp_path, {"train/a.xml": voc(("hen", BOX)), "valid/b.xml": voc(("fox", BOX))})
    folder = read(tmp_path)
    assert [found(folder.parts[part]) for part in ("train", "val")] == [
        {"a.jpg": [("hen", BOX)]},
        {"b.jpg": [("fox", BOX)]},
    ]
    assert {pictures.box_names for pictures in folder.parts.values()} == {("fox", "hen")}, "one order for all parts"


def test_lists_divide_the_pictures_into_parts(tmp_path: Path) -> None:
    make_pictures(tmp_path, *(f"JPEGImages/{name}.jpg" for name in "abcd"))
    write(tmp_path, {f"Annotations/{name}.xml": voc(("hen", BOX)) for name in "abcd"})
    lists = {"train": "a\nb 1\n", "val": "c\r\ngone\r\n", "trainval": "a\nb\nc\n", "hen_train": "d 1\n"}
    write(tmp_path, {f"ImageSets/Main/{name}.txt": text for name, text in lists.items()})
    folder = read(tmp_path)
    assert {part: pictures.names for part, pictures in folder.parts.items()} == {
        "train": ("JPEGImages/a.jpg", "JPEGImages/b.jpg"),
        "val": ("JPEGImages/c.jpg",),
    }
    assert list(folder.notes()) == [
        f"{tmp_path}: 2 files left out: 1 in a list in Main, but not there, 1 in no list in Main"
    ]


def test_numbers_with_a_point_and_pictures_of_unknown_size(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.png")
    write(tmp_path, {"a.xml": voc(("hen", ("10.5", " 20 ", "30.25", "4e1")), size=(0, 0))})
    assert found(read(tmp_path).parts["all"]) == {"a.png": [("hen", [10.5, 20.0, 30.25, 40.0])]}


def test_the_labels_own_file_name_is_not_asked(tmp_path: Path) -> None:
    """Tools write it without a suffix, with a wrong one, or that of a picture before it was renamed."""
    make_pictures(tmp_path, "a.png")
    write(tmp_path, {"a.xml": voc(("hen", BOX)).replace("<size>", "<filename>old.JPG</filename><size>")})
    assert found(read(tmp_path).parts["all"]) == {"a.png": [("hen", BOX)]}


def test_bad_boxes_are_left_out_and_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    boxes = ([70, 50, 100, 60], [90, 0, 95, 10], [30, 20, 10, 40], [5, 5, 5, 9], [78, 58, 81, 61])
    lines = [("hen", box) for box in boxes]
    document = voc(*lines).replace("</annotation>", "<object><name>hen</name></object></annotation>")
    write(tmp_path, {"a.xml": document})
    folder = read(tmp_path)
    label = tmp_path / "a.xml"
    # one pixel beyond the edge is rounding, of which nobody is told
    assert found(folder.parts["all"]) == {"a.jpg": [("hen", [70, 50, 80, 60]), ("hen", [78, 58, 80, 60])]}
    assert list(folder.notes()) == [
        f"{tmp_path}: 4 boxes left out: 1 without sides (the first in {label}), 2 without extent (the first in "
        f"{label}), 1 outside of the picture (the first in {label})",
        f"{tmp_path}: 1 boxes cut at the edge of the picture (the first in {label})",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (voc(("hen", ("nan", 1, 2, 3))), r"a\.xml: xmin is 'nan', expected a number of pixels"),
        (voc(("hen", (1, 2, "", 3))), "xmax is ''"),
        (voc((" ", BOX)), "an object without a name"),
        ("<annotation><object>", "is no XML"),
        ("<html></html>", "holds <html>, expected Pascal VOC's <annotation>"),
        ("<annotation>&unknown;</annotation>", "is no XML"),
        ("<annotation>" + "<a>" * 200 + "</a>" * 200 + "</annotation>", "nested deeper than 100"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, document: str, message: str) -> None:
    make_pictures(tmp_path, "a.jpg")
    write(tmp_path, {"a.xml": document})
    with pytest.raises(DataError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">',
        '<!ENTITY c SYSTEM "file:///etc/passwd">',
    ],
)
def test_documents_that_declare_entities_are_refused(tmp_path: Path, declared: str, encoding: str) -> None:
    make_pictures(tmp_path, "a.jpg")
    document = f"<!DOCTYPE annotation [{declared}]><annotation><folder>&c;</folder></annotation>"
    write(tmp_path, {"a.xml": document.encode(encoding)})
    with pytest.raises(DataError, match="declares a document type"):
        read(tmp_path)


def test_boxes_of_a_picture_of_another_size_are_scaled_turned_or_left_out(tmp_path: Path) -> None:
    make_pictures(tmp_path, "half.jpg")
    make_pictures(tmp_path, "turned.jpg", "stored.jpg", orientation=6)
    make_pictures(tmp_path, "other.jpg", size=(50, 50))
    files = {
        "half.xml": voc(("hen", [20, 40, 60, 80]), size=(120, 160)),
        "turned.xml": voc(("hen", BOX), size=(80, 60)),
        "stored.xml": voc(("hen", BOX), size=(60, 80)),
        "other.xml": voc(("hen", BOX)),
    }
    write(tmp_path, files)
    folder = read(tmp_path)
    assert found(folder.parts["all"]) == {
        "half.jpg": [("hen", [10, 20, 30, 40])],
        # 60 rows as stored: a quarter to the right makes of row y the column 60 - y
        "stored.jpg": [("hen", [60 - 40, 10, 60 - 20, 30])],
        "turned.jpg": [("hen", BOX)],
    }
    assert [note.partition(" (")[0] for note in folder.notes()] == [
        f"{tmp_path}: 1 file left out: 1 pictures of another form than their labels say",
        f"{tmp_path}: 1 pictures of another size than the labels say, boxes scaled",
        f"{tmp_path}: 1 pictures marked before they were turned as their camera says, boxes turned too",
    ]
