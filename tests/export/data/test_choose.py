"""Which images of --data calibrate, and which judge."""

import logging
from pathlib import Path

import pytest

from edgevit.export.data.choose import UNSEEN, folder_images
from edgevit.export.recipe import Recipe
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.split import split_folder
from tests.made_photos import write_photos

KINDS = ("blue", "red")


def test_what_was_moved_to_val_after_it_was_trained_on_does_not_judge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_photos(tmp_path, 20)
    first = split_folder(read_folder(tmp_path, "classes"), 0.2)
    for kind in KINDS:
        write_photos(tmp_path / "train", 0, [kind])
        write_photos(tmp_path / "val", 0, [kind])
        for i in range(20):
            (tmp_path / kind / f"{i}.png").rename(tmp_path / ("train" if i < 10 else "val") / kind / f"{i}.png")
        (tmp_path / kind).rmdir()
    folder = read_folder(tmp_path, "classes", KINDS)
    recipe = Recipe("efficientvit_b0", data=tmp_path)
    with caplog.at_level(logging.WARNING):
        images = folder_images(folder, first.record, KINDS, recipe, judging=True)
    held = set(first.held_out.names)
    judging = {Path(str(image)).relative_to(tmp_path / "val").as_posix() for image in images.evaluation.images}
    assert judging == {f"{kind}/{i}.png" for kind in KINDS for i in range(10, 20)} & held
    assert images.evaluation.role == UNSEEN
    assert f"{20 - len(judging)} of 20 pictures of {tmp_path / 'val'} were trained on before" in caplog.text
