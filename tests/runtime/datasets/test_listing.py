"""Which files are pictures: one rule for folders, patterns and lists, whatever lies beside them."""

import io
import logging
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets.listing import list_images, list_pictures, natural_key, visible_folders

SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listed(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder).paths]


def test_numbers_are_sorted_by_value_and_folders_one_after_the_other(tmp_path: Path) -> None:
    names = ["b.jpg", "a/img1.jpg", "a/img2.jpg", "a/img10.jpg", "a2/img1.jpg", "a10/img1.jpg"]
    touch(tmp_path, *reversed(names))
    assert listed(tmp_path) == names


def test_accents_are_sorted_alike_however_they_are_encoded() -> None:
    composed = "K\u00fche/1.jpg"
    assert natural_key(composed) == natural_key(unicodedata.normalize("NFD", composed))


def test_every_kind_of_what_is_left_out_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.JPE", "c.jfif", *(f"{i}.heic" for i in range(9)), "Thumbs.db", "._a.jpg", "README")
    touch(tmp_path, ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "pen/.git/x.jpg")
    found = list_pictures(tmp_path)
    assert [path.name for path in found.paths] == ["a.jpg", "b.JPE", "c.jfif"]
    assert str(found.left_out) == (
        "12 files left out: 1 .db, 9 .heic, 1 hidden, 1 without suffix; "
        "folders left out: .ipynb_checkpoints, __MACOSX, .git; convert the photos among them to JPEG or PNG"
    )


def test_one_kind_is_one_short_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.jpg", *(f"{i}.txt" for i in range(9)))
    with caplog.at_level(logging.WARNING):
        assert len(list(list_images(str(tmp_path)))) == 1
    assert caplog.messages == [f"{tmp_path}: 9 files left out: 9 .txt"]


def test_a_loop_of_links_ends_and_a_linked_folder_is_read_once(tmp_path: Path) -> None:
    touch(tmp_path, "data/a/1.jpg", "elsewhere/2.jpg")
    (tmp_path / "data/a/loop").symlink_to("..")
    (tmp_path / "data/0first").symlink_to("a")
    (tmp_path / "data/b").symlink_to("../elsewhere")
    assert listed(tmp_path / "data") == ["a/1.jpg", "b/2.jpg"]
    assert list(list_images(str(tmp_path / "data/**/*.jpg"))) == [tmp_path / "data/a/1.jpg", tmp_path / "data/b/2.jpg"]


def test_a_pattern_goes_down_as_the_standard_library_does_where_there_are_no_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import glob

    touch(tmp_path, "1.jpg", "a/2.jpg", "a/b/3.jpg", "a/b/c/4.jpg", ".hidden/5.jpg", "x[1]/b/6.jpg", "a/b.png")
    monkeypatch.chdir(tmp_path)
    for pattern in ("**/*.jpg", "a/**/*.jpg", "**/b/*", "**/b/**/*.jpg", "**", "*/**/3.jpg", "[ax]*/**/b/*.jpg"):
        expected = {name for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)}
        assert {str(path) for path in list_images(pattern)} == expected, pattern
        absolute = f"{glob.escape(str(tmp_path))}/{pattern}"
        assert {str(path) for path in list_images(absolute)} == {str(tmp_path / name) for name in expected}


def test_what_is_no_plain_file_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    found = list_pictures(tmp_path)
    assert [path.name for path in found.paths] == ["a.jpg"]
    assert str(found.left_out) == "1 file left out: 1 neither file nor folder"


def test_each_folder_is_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *(f"{folder}/{i}.jpg" for folder in "abc" for i in range(50)))
    scanned: list[str] = []
    scandir = os.scandir

    def noting(path: str) -> object:
        scanned.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noting)
    assert len(list_pictures(tmp_path).paths) == 150
    assert sorted(scanned) == [str(tmp_path), *(str(tmp_path / name) for name in "abc")]


def test_visible_folders_are_those_that_people_made(tmp_path: Path) -> None:
    touch(tmp_path, "pen10/a.jpg", "pen2/a.jpg", ".git/x", "__MACOSX/x", "file.jpg")
    assert visible_folders(tmp_path) == ("pen2", "pen10")


def test_folder_is_searched_in_depth_and_in_order(save_image: SaveImage, red_image: NDArray[np.uint8]) -> None:
    first, second = save_image("a/2.png", red_image), save_image("b/1.JPG", red_image)
    (first.parent / "notes.txt").write_text("no image")
    assert list(list_images(str(first.parent.parent))) == [first, second]


def test_pattern_file_and_list_name_images(
    save_image: SaveImage, red_image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image("a/2.png", red_image)
    assert list(list_images(str(path.parent.parent / "**" / "*.png"))) == [path]
    assert list(list_images(str(path))) == [path]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{path}\n\nother one.jpg\r\n  two before.jpg\none behind.jpg \n"))
    others = ["other one.jpg", "  two before.jpg", "one behind.jpg "]
    assert list(list_images("-")) == [path, *map(Path, others)]


def test_file_whose_name_looks_like_a_pattern_is_found(save_image: SaveImage, red_image: NDArray[np.uint8]) -> None:
    path = save_image("cat [1].png", red_image)
    assert list(list_images(str(path))) == [path]


@pytest.mark.parametrize(
    ("source", "reason"),
    [("empty", "no image in folder"), ("*.jpg", "no file matches"), ("none.jpg", "does not exist; give a file")],
)
def test_source_without_images_is_an_error(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=reason):
        list(list_images(str(tmp_path / source)))


def test_link_to_itself_is_left_to_who_reads_it(tmp_path: Path) -> None:
    """As a broken link is: the system refuses to say what it leads to."""
    touch(tmp_path, "pen/a.jpg")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "pen" / "b.jpg").symlink_to("b.jpg")
    assert visible_folders(tmp_path) == ("pen",)
    listing = list_pictures(tmp_path)
    assert [path.name for path in listing.paths] == ["a.jpg", "b.jpg"]
    assert str(listing.left_out) == "1 file left out: 1 without suffix"


def test_folder_that_may_not_be_read_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    for read in (visible_folders, list_pictures):
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            read(tmp_path)
