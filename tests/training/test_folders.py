"""Folders of images to labelled, readable samples."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import DataError
from edgevit.training.folders import drop_unreadable, read_image_folder, split_train_val


def write_image(path: Path, color: tuple[int, int, int] = (10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), color, np.uint8))


def test_classes_are_the_folders_in_sorted_order(tmp_path: Path) -> None:
    for name in ("pig/2.jpg", "cow/1.png", "pig/pen 4/1.JPG", "pig/notes.txt", ".hidden/1.jpg"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("not an image")
        else:
            write_image(tmp_path / name)
    samples = read_image_folder(tmp_path)
    assert samples.classes == ("cow", "pig")
    assert [path.relative_to(tmp_path).as_posix() for path in samples.paths] == [
        "cow/1.png",
        "pig/2.jpg",
        "pig/pen 4/1.JPG",
    ]
    assert samples.labels == (0, 1, 1)
    assert samples.counts() == (1, 2)


def test_train_and_val_folders_are_used_as_they_are(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png"):
        write_image(tmp_path / name)
    train, val = split_train_val(tmp_path, 0.5)
    assert {path.name for path in train.paths} == {"1.png"}
    assert {path.name for path in val.paths} == {"2.png"}


def test_a_held_out_image_stays_held_out_when_others_are_added(tmp_path: Path) -> None:
    for i in range(100):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png")
    _, before = split_train_val(tmp_path, 0.2)
    for i in range(100, 200):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png")
    train, after = split_train_val(tmp_path, 0.2)
    assert 10 <= len(before.paths) <= 30
    assert set(before.paths) <= set(after.paths)
    assert not set(train.paths) & set(after.paths)
    assert len(train.paths) + len(after.paths) == 200


def test_broken_files_are_left_out_with_their_reason(tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "a" / f"{i}.jpg")
        write_image(tmp_path / "b" / f"{i}.jpg")
    (tmp_path / "a" / "empty.jpg").touch()
    (tmp_path / "a" / "page.jpg").write_text("<html>not found</html>")
    whole = (tmp_path / "b" / "0.jpg").read_bytes()
    (tmp_path / "b" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    good, skipped = drop_unreadable(read_image_folder(tmp_path))
    assert good.counts() == (3, 3)
    assert len(skipped) == 3
    for name, reason in zip(("empty.jpg", "page.jpg", "half.jpg"), skipped, strict=True):
        assert name in reason


def test_a_class_without_readable_image_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "1.jpg")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match="class b: none of its 1 images can be read"):
        drop_unreadable(read_image_folder(tmp_path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "is not a folder"),
        (("a/1.png",), "holds 1 class folders; expected at least 2"),
        (("a/1.png", "b/1.txt"), "b has no images"),
        (("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png"), "b, c in only one of train and val"),
        (("a/1.png", "b/1.png"), "add images, or change --val-fraction"),
    ],
)
def test_an_unfit_folder_is_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    data = tmp_path / "data"
    for name in files:
        write_image(data / Path(name).with_suffix(".png"))
        if name.endswith(".txt"):
            (data / Path(name).with_suffix(".png")).rename(data / name)
    with pytest.raises(DataError, match=message):
        split_train_val(data, 0.1)
