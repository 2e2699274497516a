"""The benchmarks read a folder of classes as edgevit does."""

from pathlib import Path

import pytest

from benchmarks.labelled import evenly, labelled
from edgevit.errors import DataError
from tests.made_photos import write_photos


def test_pictures_come_class_by_class_in_the_models_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = write_photos(tmp_path, 3)
    (home / "blue" / "notes.txt").write_text("no picture")
    (home / "0.png").write_bytes((home / "blue" / "0.png").read_bytes())
    paths, places = labelled(home, ("red", "blue"), 2)
    assert places == [0, 0, 1, 1]
    assert [path.parent.name for path in paths] == ["red", "red", "blue", "blue"]
    assert len(labelled(home, ("blue", "red"))[0]) == 6
    assert capsys.readouterr().err.splitlines() == [
        f"{home}: 1 file left out: 1 .txt",
        f"1 images beside the class folders of {home} have no class, and are left out",
    ]


def test_a_folder_that_is_no_class_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="red is no class of the model; rename it, or remove it"):
        labelled(write_photos(tmp_path, 2), ("blue",))


def test_a_limit_is_kept_and_reaches_to_the_end() -> None:
    assert evenly(10, 4) == [0, 2, 5, 7]
    assert evenly(3, 5000) == [0, 1, 2]
    chosen = evenly(5000, 3000)
    assert len({*chosen}) == 3000
    assert chosen[-1] > 4990


def test_a_class_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures of 'green'"):
        labelled(write_photos(tmp_path, 2), ("blue", "green", "red"))
