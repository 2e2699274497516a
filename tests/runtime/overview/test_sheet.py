"""The contact sheet: what is known of a picture is seen in it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import DataError, OptionError
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.images.mask_png import mask_png
from edgevit.runtime.images.palette import spread_palette
from edgevit.runtime.overview.sheet import CELL, GAP, draw_sheet, write_sheet
from edgevit.runtime.overview.summary import read_any
from tests.made_labels import make_pictures, write


def test_boxes_stand_where_they_are_in_the_upright_picture(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.png", size=(60, 80), orientation=6)
    write(tmp_path, {"labels/a.txt": "0 0.5 0.5 0.5 0.5", "classes.txt": "hen"})
    sheet = draw_sheet(read_folder(tmp_path, "boxes"))
    # the picture is 60 wide and 80 high, its cell 240 and 320: the box is 60 to 180 wide, 80 to 240 high
    cell = sheet[GAP : GAP + 320, GAP : GAP + 240].astype(int)
    near = np.abs(cell - np.array(spread_palette(1)[0])).max(axis=2) < 8
    assert near[:, 60].sum() >= 150
    assert near[239, 60:180].all()
    assert near[80:240, 179].all()
    assert not near[100:230, 70:170].any()
    assert sheet.shape == (CELL + 2 * GAP, CELL + 2 * GAP, 3)


def test_forty_pictures_with_the_rarest_class_among_them(tmp_path: Path) -> None:
    make_pictures(tmp_path, *(f"images/{i}.jpg" for i in range(60)), size=(6, 8))
    write(tmp_path, {f"labels/{i}.txt": f"{int(i == 59)} 0.5 0.5 1 1" for i in range(60)})
    write(tmp_path, {"classes.txt": "hen\nfox"})
    folder = read_folder(tmp_path, "boxes")
    sheet = draw_sheet(folder)
    assert sheet.shape == (8 * (CELL + GAP) + GAP, 5 * (CELL + GAP) + GAP, 3)
    fox = np.abs(sheet[GAP : GAP + 240, GAP].astype(int) - np.array(spread_palette(2)[1])).max(axis=1) < 8
    assert fox.sum() > 200, "the only fox comes first"
    assert np.array_equal(sheet, draw_sheet(folder)), "the same each time"


def test_masks_and_classes_are_drawn(tmp_path: Path) -> None:
    make_pictures(tmp_path, "m/images/a.png", "c/hen/a.png")
    write(tmp_path, {"m/masks/a.png": mask_png(np.full((60, 80), 1, np.uint8), ())})
    masked = draw_sheet(read_any(tmp_path / "m")[0])
    expected = (128 + np.array(spread_palette(2)[1])) / 2
    assert np.abs(masked[GAP + 100, GAP + 100] - expected).max() <= 1
    labelled = draw_sheet(read_any(tmp_path / "c")[0])
    assert (labelled[GAP + 10, GAP + 10] == 128).all()
    assert labelled[GAP + 200 : GAP + 240].max() > 200, "its class in white"


def test_only_pictures_are_written(tmp_path: Path) -> None:
    make_pictures(tmp_path, "p/a.jpg")
    folder = read_folder(tmp_path / "p", "plain")
    with pytest.raises(OptionError, match=r"sheet= is .*sheet\.pdf, expected the name of a picture: \.jpg"):
        write_sheet(folder, tmp_path / "sheet.pdf")
    write_sheet(folder, tmp_path / "sheet.PNG")
    image = cv2.imread(str(tmp_path / "sheet.PNG"))
    assert image is not None
    assert image.shape == draw_sheet(folder).shape
    write(tmp_path, {"q/a.jpg": b"no picture"})
    with pytest.raises(DataError, match="can be read"):
        draw_sheet(read_folder(tmp_path / "q", "plain"))
