"""What a run lists before it reads a picture."""

from pathlib import Path

import pytest

from edgevit.errors import DataError
from edgevit.training.data import list_data
from edgevit.training.kinds import KINDS


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("part", ["val", "test"])
def test_pictures_without_a_class_are_in_no_part_that_is_held_out(tmp_path: Path, part: str) -> None:
    data = touch(tmp_path / "data", *(f"train/{kind}/{i}.png" for kind in "ab" for i in range(20)))
    touch(data, "val/a/1.png", "val/b/2.png", "test/a/3.png")
    frames = touch(tmp_path / "frames", "4.png")
    listing = list_data(KINDS["classify"], data, 0.1, (), frames)
    assert len(listing.train.paths) == 41
    with pytest.raises(DataError, match=r"unlabelled=? .*holds .*\.png, which is held out to judge by"):
        list_data(KINDS["classify"], data, 0.1, (), data / part)
    (frames / "5.png").symlink_to(next((data / part).rglob("*.png")))
    with pytest.raises(DataError, match=r"holds .*5\.png, which is held out to judge by"):
        list_data(KINDS["classify"], data, 0.1, (), frames)
