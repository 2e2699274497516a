"""The benchmarks read a folder of classes as edgevit does."""

from pathlib import Path

import pytest

from benchmarks.labelled import labelled
from edgevit.errors import DataError
from tests.made_photos import write_photos


def test_pictures_come_class_by_class_in_the_models_order(tmp_path: Path) -> None:
    home = write_photos(tmp_path, 3)
    (home / "blue" / "notes.txt").write_text("no picture")
    paths, places = labelled(home, ("red", "blue"), 2)
    assert places == [0, 0, 1, 1]
    assert [path.parent.name for path in paths] == ["red", "red", "blue", "blue"]
    assert len(labelled(home, ("blue", "red"))[0]) == 6


def test_a_class_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures of 'green'"):
        labelled(write_photos(tmp_path, 2), ("blue", "green"))
