"""The yardstick of segmentation: no picture has two roles, and each form has a line."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.street_masks import CAMVID, DECIDING, draw, link, main
from edgevit.models.zoo.datasets import CITYSCAPES


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        cells = random.integers(0, 256, (4, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(cells, (48, 32), interpolation=cv2.INTER_CUBIC))
    return folder


def test_no_picture_has_two_roles(tmp_path: Path) -> None:
    drawn = draw(write_pictures(tmp_path / "photos", 30), calibrating=8, judged=5)
    assert drawn == draw(tmp_path / "photos", calibrating=8, judged=5)
    assert (len(drawn.seen), len(drawn.deciding), len(drawn.held)) == (8, DECIDING, 5)
    assert len({*drawn.seen, *drawn.deciding, *drawn.held}) == 8 + DECIDING + 5
    home = link(drawn, tmp_path / "data")
    assert {path.resolve() for path in (home / "train").iterdir()} == {*drawn.seen}
    assert {path.resolve() for path in (home / "val").iterdir()} == {*drawn.deciding}


def test_a_part_test_is_what_is_judged_by(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", 20)
    write_pictures(tmp_path / "test", 3)
    drawn = draw(tmp_path, calibrating=4, judged=9)
    assert {path.parent.name for path in (*drawn.seen, *drawn.deciding)} == {"train"}
    assert [path.parent.name for path in drawn.held] == ["test"] * 3


def test_each_class_of_cityscapes_lies_in_one_of_camvid() -> None:
    assert sorted(name for names in CAMVID.values() for name in names.split(",")) == sorted(CITYSCAPES.labels)


@pytest.mark.slow
def test_each_form_has_a_line(tmp_path: Path) -> None:
    photos, masks = write_pictures(tmp_path / "photos", 40), tmp_path / "masks"
    masks.mkdir()
    for path in photos.iterdir():
        cv2.imwrite(str(masks / path.name), np.full((32, 48), 11, np.uint8))
    options = ["--imgsz", "32x64", "--format", "onnx", "--judged", "2", "--calibrating", "16", "--rounds", "1"]
    arguments = ["random", str(photos), *options, "--max-drop", "100", "--camvid", str(masks)]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("exporting")]
    assert lines[0] == "efficientvit_seg_b0_cityscapes, 32x64: 2 pictures judge, 16 others calibrate"
    assert [line[:20].strip() for line in lines[2:]] == ["PyTorch", "onnx float", "onnx int8", "onnx budget"]
    equal, miou, worst, _, int8, ratio = map(float, lines[3][20:].split()[:6])
    assert min(equal, worst) > 99.5
    assert (miou > 99, int8, ratio) == (True, 0, 1)
    assert float(lines[4][20:].split()[4]) > 70
