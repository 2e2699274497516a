"""Preprocessing is timm's evaluation transform on a Pillow image, composed here from Pillow's own operations."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import OptionError
from edgevit.runtime.images import preprocess as preprocess_module
from edgevit.runtime.images.prepare import prepare
from edgevit.runtime.images.preprocess import (
    Speed,
    center_box,
    fit,
    min_decode_size,
    normalize,
    preprocess,
    scaled_size,
    speed_for,
)
from edgevit.runtime.images.resample import Box, RGBImage

Image = pytest.importorskip("PIL.Image", reason="Pillow is the witness of preprocessing")

WAYS = [
    Preprocess((224, 224)),
    Preprocess((224, 224), "bilinear", crop_pct=0.95),
    Preprocess((224, 224), crop_pct=1.0),
    Preprocess((224, 320)),
    Preprocess((96, 160), "bilinear", 0.9, "squash"),
]


def _reference(image: NDArray[np.uint8], preprocessing: Preprocess) -> NDArray[np.uint8]:
    """Resize and CenterCrop of torchvision, or ResizeKeepRatio of timm for inputs that are not square."""
    height, width = image.shape[:2]
    scale = [math.floor(side / preprocessing.crop_pct) for side in preprocessing.size]
    if preprocessing.crop_mode == "squash":
        new_height, new_width = scale
    elif scale[0] == scale[1]:
        short, long = min(height, width), max(height, width)
        new_short, new_long = scale[0], int(scale[0] * long / short)
        new_height, new_width = (new_short, new_long) if height <= width else (new_long, new_short)
    else:
        ratio = min(height / scale[0], width / scale[1])
        new_height, new_width = round(height / ratio), round(width / ratio)
    kernel = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[preprocessing.interpolation]
    # one axis at a time, horizontal first, as Pillow up to 12 does in one call
    scaled = Image.fromarray(image).resize((new_width, height), kernel).resize((new_width, new_height), kernel)
    top, left = (
        int(round((new_height - preprocessing.size[0]) / 2.0)),
        int(round((new_width - preprocessing.size[1]) / 2.0)),
    )
    return np.asarray(scaled.crop((left, top, left + preprocessing.size[1], top + preprocessing.size[0])))


@pytest.mark.parametrize("preprocessing", WAYS, ids=str)
@pytest.mark.parametrize("shape", [(32, 32), (300, 451), (451, 300), (640, 480), (37, 53), (225, 226)])
def test_picture_equals_pillow(shape: tuple[int, int], preprocessing: Preprocess) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit(image, preprocessing, speed="exact"), _reference(image, preprocessing))


@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee", "rocket"])
def test_photograph_equals_pillow_as_its_users_call_it(name: str) -> None:
    """In one resize call, whose order of passes is Pillow's choice: never more than two levels away."""
    data = pytest.importorskip("skimage.data", reason="scikit-image has the photographs")
    image = getattr(data, name)()
    preprocessing = WAYS[0]
    height, width = scaled_size(image.shape[:2], preprocessing)
    box = center_box((height, width), preprocessing.size)
    scaled = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    reference = np.asarray(scaled)[box.top : box.top + 224, box.left : box.left + 224]
    assert np.abs(fit(image, preprocessing).astype(int) - reference).max() <= 2


def test_normalization_is_that_of_torchvision_to_the_last_bit(photo: NDArray[np.uint8]) -> None:
    torch = pytest.importorskip("torch", reason="torch is the witness of normalization")
    preprocessing = WAYS[0]
    values = torch.from_numpy(photo.transpose(2, 0, 1).copy()).to(torch.float32).div(255)
    mean, std = torch.tensor(preprocessing.mean).view(3, 1, 1), torch.tensor(preprocessing.std).view(3, 1, 1)
    np.testing.assert_array_equal(normalize(photo, preprocessing), values.sub(mean).div(std).numpy())


def test_known_color_becomes_known_values() -> None:
    preprocessing = Preprocess((8, 8), mean=(0.5, 0.4, 0.2), std=(0.5, 0.2, 0.1))
    values = preprocess(np.full((20, 30, 3), (255, 0, 51), np.uint8), preprocessing)
    assert values.shape == (3, 8, 8)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 3, 3], [1, -2, 0], atol=1e-6)


def test_short_side_fits_and_the_long_side_is_rounded_down() -> None:
    assert scaled_size((300, 451), Preprocess((224, 224))) == (256, 384)  # 256 * 451 / 300 = 384.85
    assert scaled_size((451, 300), Preprocess((224, 224))) == (384, 256)
    assert scaled_size((300, 451), Preprocess((224, 224), crop_pct=0.95)) == (235, 353)  # 224 / 0.95 = 235.8


def test_crop_rounds_halves_to_even() -> None:
    assert center_box((257, 259), (224, 224)) == Box(16, 18, 224, 224)  # 16.5 -> 16, 17.5 -> 18


def test_huge_picture_is_halved_only_while_twice_as_large_as_needed() -> None:
    """Stripes of one pixel vanish in any average, so what is left is flat; the mean level stays."""
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    assert abs(int(fit(stripes, Preprocess((224, 224))).mean()) - 100) <= 1
    small = np.random.default_rng(0).integers(0, 256, (1020, 1020, 3), dtype=np.uint8)
    preprocessing = Preprocess((224, 224))  # 1020 / 2 is less than 2 * 256: not halved
    np.testing.assert_array_equal(fit(small, preprocessing), fit(small, preprocessing, speed="exact"))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_picture_is_averaged_by_the_largest_factor_that_leaves_twice_as_much(factor: int) -> None:
    """Blocks of one colour each have an exact average; rows and columns that fill no block are left out."""
    small = np.random.default_rng(0).integers(0, 256, (512, 600, 3), dtype=np.uint8)
    large = small.repeat(factor, axis=0).repeat(factor, axis=1)
    large = np.pad(large, ((0, factor - 1), (0, 1), (0, 0)), constant_values=255)
    # 512 is twice the 256 that 224 / 0.875 asks for
    preprocessing = Preprocess((224, 224))
    np.testing.assert_array_equal(fit(large, preprocessing), fit(small, preprocessing, speed="exact"))


@pytest.mark.parametrize(("size", "halved"), [((424, 706), False), ((423, 708), False), ((424, 708), True)])
def test_both_sides_must_be_twice_as_large_to_be_halved(size: tuple[int, int], halved: bool) -> None:
    # 96 / 0.9 and 160 / 0.9 are 106 and 177
    squash = Preprocess((96, 160), "bilinear", 0.9, "squash")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert (fit(image, squash) != fit(image, squash, speed="exact")).any() == halved


def test_brightness_is_pillows_and_stands_in_all_three_channels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    grey = Preprocess((40, 60), "bilinear", 1.0, "squash", mean=(0.0,) * 3, std=(1 / 255,) * 3, channels="L")
    values = np.rint(preprocess(image, grey))
    np.testing.assert_array_equal(values, [np.asarray(Image.fromarray(image).convert("L"))] * 3)


def test_halved_photograph_stays_close_to_the_exact_one() -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image has the photographs")
    large = cv2.resize(data.astronaut(), (2048, 1536), interpolation=cv2.INTER_CUBIC)
    preprocessing = Preprocess((224, 224))
    difference = np.abs(fit(large, preprocessing).astype(int) - fit(large, preprocessing, speed="exact"))
    assert difference.mean() < 0.5
    assert difference.max() <= 8


def test_frame_is_prepared_faster_and_at_most_one_level_off() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    preprocessing = Preprocess(size=(224, 224))
    usual, fast = (preprocess(frame, preprocessing, speed=speed_for(source)) for source in ("frame.png", frame))
    levels = np.abs(usual - fast) * 255 * np.array(preprocessing.std, np.float32)[:, None, None]
    assert levels.max() < 1.001
    assert 0 < (levels > 0.5).mean() < 2e-4


def test_array_is_prepared_as_a_file_where_the_caller_says_so() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    preprocessing = Preprocess(size=(224, 224))
    file = prepare(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes(), preprocessing).values
    np.testing.assert_array_equal(prepare(image, preprocessing, speed="usual").values, file)
    np.testing.assert_array_equal(prepare(image, preprocessing).values, preprocess(image, preprocessing, speed="fast"))
    with pytest.raises(OptionError, match="speed=? is 'slow', expected"):
        prepare(image, preprocessing, speed="slow")  # type: ignore[arg-type]


@pytest.mark.parametrize("crop_mode", ["center", "letterbox"])
@pytest.mark.parametrize(("speed", "fast"), [("exact", False), ("usual", False), ("fast", True)])
def test_frame_alone_is_scaled_in_float32(
    crop_mode: str, speed: Speed, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[tuple[int, int], Box, str, bool]] = []

    def noting(image: RGBImage, size: tuple[int, int], box: Box, kernel: str, *, fast: bool = False) -> RGBImage:
        told.append((size, box, kernel, fast))
        return np.zeros((box.height, box.width, 3), np.uint8)

    monkeypatch.setattr(preprocess_module, "resample", noting)
    fit(np.zeros((60, 100, 3), np.uint8), Preprocess((48, 64), "bilinear", 1.0, crop_mode), speed=speed)
    # 60 / 48 is less than 100 / 64: one side fits or the other does
    size, box = ((48, 80), Box(0, 8, 48, 64)) if crop_mode == "center" else ((38, 64), Box(0, 0, 38, 64))
    assert told == [(size, box, "bilinear", fast)]


def test_scale_of_another_aspect_is_rounded_to_even() -> None:
    # 100 / 0.8 and 160 / 0.8 are 125 and 200: by 4 / 3 and by 2
    wide = Preprocess((100, 160), crop_pct=0.8)
    assert scaled_size((250, 267), wide) == (187, 200)  # 187.27
    assert scaled_size((375, 401), wide) == (187, 200)  # 187.03
    assert scaled_size((250, 1001), wide) == (125, 500)  # 500.5 is rounded to even
    assert scaled_size((250, 1003), wide) == (125, 502)  # 501.5 too
    assert scaled_size((1003, 400), wide) == (502, 200)


def test_size_that_an_image_must_cover_is_rounded_down() -> None:
    assert min_decode_size(Preprocess((224, 96), crop_pct=0.95)) == (235, 101)  # 235.8 and 101.05
    assert min_decode_size(Preprocess((96, 224), crop_pct=0.95)) == (101, 235)


def test_halving_averages_and_leaves_the_channels_in_their_order() -> None:
    large = np.zeros((64, 96, 3), np.uint8)
    large[::2, :, 0], large[:, ::2, 1], large[1::2, 1::2, 2] = 100, 60, 200
    values = fit(large, Preprocess((16, 24), "bilinear", 1.0, "squash"))
    assert np.unique(values.reshape(-1, 3), axis=0).tolist() == [[50, 30, 50]]


def test_letterbox_is_filled_with_the_level_that_is_told_to_the_right_or_below() -> None:
    preprocessing = Preprocess((40, 60), "bilinear", 1.0, "letterbox", fill=7)
    high = fit(np.full((80, 20, 3), 200, np.uint8), preprocessing)
    assert (high[:, :10] == 200).all()
    assert (high[:, 10:] == 7).all()
    wide = fit(np.full((20, 120, 3), 200, np.uint8), preprocessing)
    assert (wide[:10] == 200).all()
    assert (wide[10:] == 7).all()


def test_values_are_in_the_order_that_the_model_takes() -> None:
    image = np.full((2, 3, 3), (10, 20, 30), np.uint8)
    # mean and deviation belong to red, green, blue whatever the order
    red, green, blue = (10 / 255 - 0.1) / 0.5, (20 / 255 - 0.2) / 0.25, (30 / 255 - 0.3) / 0.125
    for channels, expected in (("RGB", (red, green, blue)), ("BGR", (blue, green, red))):
        values = normalize(image, Preprocess((2, 3), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125), channels=channels))
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[:, 1, 2], expected, rtol=1e-6)
