"""One reader: classes, masks and parts of a folder of pictures."""

import unicodedata
from pathlib import Path

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import Layout, read_folder
from tests.made_labels import make_pictures, write

NAMES = ("red", "green", "blue")
LAYOUTS: tuple[Layout, ...] = ("masks", "boxes")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_first_folder_of_a_path_is_the_class(tmp_path: Path) -> None:
    touch(tmp_path, "red/2.jpg", "blue/pen 4/1.jpg", "blue/.hidden/1.jpg")
    home = read_folder(tmp_path, "classes", NAMES).parts["all"]
    assert home.names == ("blue/pen 4/1.jpg", "red/2.jpg")
    assert (home.classes, home.labels(NAMES)) == (("blue", "red"), (2, 0))


def test_class_names_are_compared_in_composed_form(tmp_path: Path) -> None:
    touch(tmp_path, unicodedata.normalize("NFD", "kühe") + "/1.jpg", unicodedata.normalize("NFC", "kühe") + "/2.jpg")
    home = read_folder(tmp_path, "classes").parts["all"]
    assert home.class_names() == (unicodedata.normalize("NFC", "kühe"),)
    assert home.labels((unicodedata.normalize("NFD", "kühe"),)) == (0, 0)
    assert set(home.names) == {unicodedata.normalize("NFC", f"kühe/{i}.jpg") for i in (1, 2)}


TWINS = "count as 2 classes, though the case of letters alone differs; if they are one thing, give them one name"


@pytest.mark.parametrize("homes", [("", ""), ("train/", "train/"), ("train/", "val/")])
def test_classes_that_differ_in_case_alone_are_told(tmp_path: Path, homes: tuple[str, str]) -> None:
    touch(tmp_path, f"{homes[0]}Hen/1.jpg", f"{homes[1]}hen/2.jpg", f"{homes[0]}fox/3.jpg")
    assert list(read_folder(tmp_path, "classes").notes()) == [f"{tmp_path}: Hen and hen {TWINS}"]


def test_names_of_boxes_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": "1 0.5 0.5 0.5 0.5", "classes.txt": "Hen\nfox\nhen"})
    assert list(read_folder(tmp_path, "boxes").notes()) == [f"{tmp_path}: Hen and hen {TWINS}"]


def test_pictures_beside_the_classes_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "red/1.jpg", "preview.png", "notes.txt")
    folder = read_folder(tmp_path, "classes", NAMES)
    assert (len(folder.parts["all"].paths), folder.parts["all"].loose) == (1, 1)
    assert list(folder.notes()) == [
        f"{tmp_path}: 1 file left out: 1 .txt",
        f"1 images beside the class folders of {tmp_path} have no class, and are left out",
    ]


def test_a_flat_folder_says_nothing_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    assert read_folder(tmp_path, "classes", NAMES).parts["all"].labels(NAMES) is None


@pytest.mark.parametrize("spelling", ["val", "valid", "validation"])
def test_parts_are_known_by_their_usual_names(tmp_path: Path, spelling: str) -> None:
    touch(tmp_path, "train/red/1.jpg", f"{spelling}/red/2.jpg", "test/red/3.jpg")
    folder = read_folder(tmp_path, "classes")
    assert {part: pictures.names for part, pictures in folder.parts.items()} == {
        "train": ("red/1.jpg",),
        "val": ("red/2.jpg",),
        "test": ("red/3.jpg",),
    }
    assert folder.home is folder.parts["train"]
    assert folder.held_out is folder.parts["val"]


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.jpg", "red/1.jpg")
    assert list(read_folder(tmp_path, "classes", (*NAMES, "test")).parts) == ["all"]
    assert list(read_folder(tmp_path, "classes", NAMES).parts) == ["test"]


@pytest.mark.parametrize("names", [("val",), ("test", "valid"), ("Test",), ("Train", "Val"), ("VALIDATION",)])
def test_folders_called_as_parts_are_no_classes_to_learn(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path, "red/1.jpg", "blue/1.jpg", *(f"{name}/red/2.jpg" for name in names))
    message = f"holds .*{' and '.join(names)} but no train; put .* into .*train, in small letters, or rename a"
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path, "classes")


def test_what_lies_beside_the_parts_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "train/red/1.jpg", "Val/red/2.jpg", "duck/3.jpg", "duck/4.jpg", "loose.jpg", "notes.txt", ".git/x")
    for layout in LAYOUTS + ("classes", "plain"):
        folder = read_folder(tmp_path, layout)
        assert list(folder.parts) == ["train"]
        assert list(folder.notes()) == [
            f"{tmp_path}: 1 file left out: 1 pictures beside the parts; folders left out: "
            "Val (parts have small letters), duck"
        ]


def test_parts_in_capitals_of_masks_are_told(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{part}/1.png" for kind in ("images", "masks") for part in ("Train", "Val")))
    folder = read_folder(tmp_path, "masks")
    assert list(folder.parts) == ["all"]
    assert list(folder.notes()) == [f"{tmp_path}: 2 folders not taken for parts, which have small letters: Train, Val"]


def test_masks_have_parts_within_images_too(tmp_path: Path) -> None:
    parts = ("train", "val", "test")
    touch(tmp_path, *(f"{kind}/{part}/a/x.png" for kind in ("images", "masks") for part in parts), "images/loose.jpg")
    folder = read_folder(tmp_path, "masks")
    assert list(folder.parts) == list(parts)
    for part, pictures in folder.parts.items():
        assert (pictures.names, pictures.masks) == (("a/x.png",), (tmp_path / f"masks/{part}/a/x.png",))
    assert list(folder.notes()) == [f"{tmp_path}: 1 file left out: 1 pictures beside the parts"]
    assert read_folder(tmp_path / "images/val", "masks").parts["all"].masks == (tmp_path / "masks/val/a/x.png",)
    (tmp_path / "masks/val/a/x.png").unlink()
    with pytest.raises(DataError, match=r"there is no mask .*masks.val.a.x\.png"):
        read_folder(tmp_path, "masks")


@pytest.mark.parametrize("layout", ["classes", "masks", "boxes", "plain"])
def test_a_picture_in_two_parts_stays_where_it_judges(tmp_path: Path, layout: Layout) -> None:
    touch(tmp_path, "train/red/1.jpg", "train/red/2.jpg", "val/red/3.jpg", "test/red/4.jpg")
    (tmp_path / "train/red/link.jpg").symlink_to(tmp_path / "val/red/3.jpg")
    (tmp_path / "train/red/hard.jpg").hardlink_to(tmp_path / "test/red/4.jpg")
    (tmp_path / "test/red/link.jpg").symlink_to(tmp_path / "val/red/3.jpg")
    folder = read_folder(tmp_path, layout)
    assert {part: pictures.names for part, pictures in folder.parts.items()} == {
        "train": ("red/1.jpg", "red/2.jpg"),
        "val": ("red/3.jpg",),
        "test": ("red/4.jpg",),
    }
    assert sorted(folder.notes()) == [
        f"{tmp_path / 'test'}: 1 pictures that are in val, too, and left out of test",
        f"{tmp_path / 'train'}: 1 pictures that are in test, too, and left out of train",
        f"{tmp_path / 'train'}: 1 pictures that are in val, too, and left out of train",
    ]


def test_a_part_without_pictures_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "val/red/1.jpg")
    (tmp_path / "test").symlink_to(tmp_path / "val")
    folder = read_folder(tmp_path, "plain")
    assert list(folder.parts) == ["val"]
    assert list(folder.notes()) == [f"{tmp_path / 'val'}: 1 pictures that are in val, too, and left out of test"]
    (tmp_path / "train").symlink_to(tmp_path / "val")
    with pytest.raises(DataError, match="every picture of train is in val, too; put others there to train on"):
        read_folder(tmp_path, "plain")


def test_a_class_called_train_hides_no_part_where_folders_are_no_classes(tmp_path: Path) -> None:
    """Cityscapes and COCO have trains."""
    touch(tmp_path, *(f"{part}/{kind}" for part in ("train", "val") for kind in ("images/1.png", "masks/1.png")))
    assert list(read_folder(tmp_path, "masks", (*NAMES, "train")).parts) == ["train", "val"]
    touch(tmp_path / "plain", "train/1.png", "val/2.png")
    for layout in LAYOUTS:
        assert list(read_folder(tmp_path / "plain", layout, (*NAMES, "train")).parts) == ["train", "val"]


def test_every_picture_needs_its_mask(tmp_path: Path) -> None:
    touch(tmp_path, "val/images/a/x.jpg", "val/masks/other.png")
    with pytest.raises(DataError, match=r"there is no mask .*x\.png"):
        read_folder(tmp_path, "masks")
    touch(tmp_path, "val/masks/a/x.png")
    assert read_folder(tmp_path, "masks").parts["val"].masks == (tmp_path / "val/masks/a/x.png",)
    assert read_folder(tmp_path / "val/images", "masks").parts["all"].masks is None


def test_masks_are_found_as_labels_are_whatever_the_form_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "images/K\u00fche.jpg", "masks/Ku\u0308he.PNG")
    folder = read_folder(tmp_path, "masks")
    assert folder.parts["all"].masks == (tmp_path / "masks/Ku\u0308he.PNG",)
    assert list(folder.notes()) == []


def test_pictures_that_share_a_mask_or_a_label_file_are_told(tmp_path: Path) -> None:
    touch(tmp_path / "masked", "images/a.jpg", "images/a.png", "images/b.jpg", "masks/a.png", "masks/b.png")
    notes = list(read_folder(tmp_path / "masked", "masks").notes())
    assert notes == [f"{tmp_path / 'masked'}: 2 pictures that share a mask, as only the suffix of their names differs"]
    make_pictures(tmp_path / "boxed", "images/a.jpg", "images/a.png", "images/b.jpg", "images/b.png")
    write(tmp_path / "boxed", {"labels/a.txt": "0 0.5 0.5 0.5 0.5", "classes.txt": "hen"})
    assert list(read_folder(tmp_path / "boxed", "boxes").notes()) == [
        f"{tmp_path / 'boxed'}: 2 pictures that share a label file, as only the suffix of their names differs",
        f"{tmp_path / 'boxed'}: 2 pictures without a label file, taken for pictures without objects",
    ]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("none", "is not a folder; give one that holds images"),
        ("empty", r"no image in folder .* .looked for .jpg"),
        ("two", "holds val and valid, two names of one part"),
    ],
)
def test_an_unfit_folder_is_one_clear_error(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "two/train/red/1.jpg", "two/val/red/1.jpg", "two/valid/red/1.jpg")
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path / folder, "classes")
