"""Folders of images to labelled, readable samples."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.split import split_folder
from edgevit.training.folders import Samples, drop_unreadable, labelled_samples


def write_image(path: Path, color: tuple[int, int, int] = (10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), color, np.uint8))


def split(data: Path, fraction: float = 0.1) -> tuple[Samples, Samples]:
    return labelled_samples(data, split_folder(read_folder(data, "classes"), fraction))


def test_classes_are_the_folders_in_natural_order(tmp_path: Path) -> None:
    for name in ("pig/2.jpg", "cow/1.png", "pig/pen 4/1.JPG", "pig/notes.txt", ".hidden/1.jpg"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("not an image")
        else:
            write_image(tmp_path / name)
    for i in range(20):
        write_image(tmp_path / f"pen{i % 2 * 8 + 2}" / f"{i}.png")
    train, val = split(tmp_path)
    assert train.classes == val.classes == ("cow", "pen2", "pen10", "pig")
    pigs = [path for part in (train, val) for path, label in zip(part.paths, part.labels, strict=True) if label == 3]
    assert {path.relative_to(tmp_path).as_posix() for path in pigs} == {"pig/2.jpg", "pig/pen 4/1.JPG"}
    assert (train.counts()[0], train.counts()[3]) == (1, 1), "one picture is trained on, of two one is held out"
    assert (val.counts()[0], val.counts()[3]) == (0, 1)


def test_train_and_val_folders_are_used_as_they_are(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png"):
        write_image(tmp_path / name)
    train, val = split(tmp_path, 0.5)
    assert {path.name for path in train.paths} == {"1.png"}
    assert {path.name for path in val.paths} == {"2.png"}


def test_a_held_out_image_stays_held_out_when_others_are_added(tmp_path: Path) -> None:
    for i in range(100):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png")
    _, before = split(tmp_path, 0.2)
    for i in range(100, 200):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png")
    train, after = split(tmp_path, 0.2)
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
    paths = tuple(sorted(tmp_path.rglob("*.jpg")))
    good, skipped = drop_unreadable(Samples(paths, tuple(int(path.parent.name == "b") for path in paths), ("a", "b")))
    assert good.counts() == (3, 3)
    assert len(skipped) == 3
    for name, reason in zip(("empty.jpg", "page.jpg", "half.jpg"), skipped, strict=True):
        assert name in reason


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "is not a folder"),
        (("a/1.png",), "holds 1 class folders; expected at least 2"),
        (("a/1.png", "b/1.txt"), "b has no images"),
        (("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png"), "c in val only; put images into train, too"),
        (("a/1.png", "b/1.png"), "add images, or change val_fraction="),
    ],
)
def test_an_unfit_folder_is_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    data = tmp_path / "data"
    for name in files:
        write_image(data / Path(name).with_suffix(".png"))
        if name.endswith(".txt"):
            (data / Path(name).with_suffix(".png")).rename(data / name)
    with pytest.raises(DataError, match=message):
        split(data)
