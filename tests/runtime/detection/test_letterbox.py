"""A letterbox and undoing it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.letterbox import to_picture
from edgevit.runtime.images.preprocess import fit, preprocess, scaled_size
from tests.made_detector import PREPROCESS

Image = pytest.importorskip("PIL.Image", reason="Pillow is the witness of preprocessing")
BOX = Preprocess((256, 320), "bilinear", 1.0, "letterbox")


def found(*boxes: tuple[float, float, float, float]) -> FoundBoxes:
    count = len(boxes)
    return FoundBoxes(np.array(boxes, np.float32), np.ones(count, np.float32), np.zeros(count, np.int64))


@pytest.mark.parametrize(
    ("picture", "scaled"),
    [
        ((480, 640), (240, 320)),
        ((1000, 100), (256, 26)),  # 25.6 is rounded
        ((100, 4000), (8, 320)),
        ((5000, 2), (256, 1)),  # never less than a pixel
        ((64, 80), (256, 320)),  # smaller ones are enlarged
    ],
)
def test_one_side_fits_and_the_other_is_rounded(picture: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert scaled_size(picture, BOX) == scaled


def test_the_picture_stands_in_the_upper_left_corner_and_the_rest_is_grey(photo: NDArray[np.uint8]) -> None:
    image = fit(photo, BOX, speed="exact")
    height, width = scaled_size(photo.shape[:2], BOX)
    assert (height, width) == (213, 320)  # 300 * 320 / 451 = 212.9
    scaled = Image.fromarray(photo).resize((320, 300), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image[:213], scaled.resize((320, 213), Image.Resampling.BILINEAR))
    assert (image[213:] == 114).all()


def test_a_model_of_blue_green_red_levels_gets_them() -> None:
    levels = Preprocess((32, 32), "bilinear", 1.0, "letterbox", std=(1 / 255,) * 3, mean=(0, 0, 0), channels="BGR")
    values = preprocess(np.full((16, 32, 3), (10, 20, 30), np.uint8), levels)
    np.testing.assert_allclose(values[:, :16].mean(axis=(1, 2)), (30, 20, 10), atol=1e-4)
    np.testing.assert_allclose(values[:, 16:], 114, atol=1e-4)


def test_boxes_return_by_the_ratio_of_each_axis() -> None:
    # 1000 x 100 becomes 256 x 26: 3.90625 and 3.84615 pixels of the picture for one of the input
    back = to_picture(found((13, 64, 26, 128)), (1000, 100), BOX).boxes
    np.testing.assert_allclose(back, [[50, 250, 100, 500]], atol=1e-4)


def test_boxes_are_cut_at_the_edges_and_left_out_beyond() -> None:
    # 480 x 640 becomes 240 x 320, so that rows from 240 on are filled
    back = to_picture(found((-5, -5, 400, 250), (0, 241, 100, 256)), (480, 640), BOX)
    assert back.boxes.tolist() == [[0, 0, 640, 480]]


def test_boxes_of_a_picture_at_reduced_scale_are_those_of_the_whole() -> None:
    # a quarter of 1921 x 2562, rounded up, becomes 240 x 320 as the whole does
    back = to_picture(found((0, 60, 160, 120)), (481, 641), BOX, (1921, 2562))
    np.testing.assert_allclose(back.boxes, [[0, 1921 / 4, 2562 / 2, 1921 / 2]], rtol=1e-6)


def test_squashed_pictures_return_too() -> None:
    squash = Preprocess((256, 320), "bilinear", 1.0, "squash")
    back = to_picture(found((160, 64, 320, 128)), (512, 640), squash)
    assert back.boxes.tolist() == [[320, 128, 640, 256]]


def test_fill_is_the_level_that_the_file_says() -> None:
    image = fit(np.zeros((10, 96, 3), np.uint8), PREPROCESS)
    assert image[-1, -1].tolist() == [114, 114, 114]
