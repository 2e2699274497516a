"""Whatever a user hands over becomes an upright RGB array, or one clear line."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.images.read import read_image, read_scaled

Image = pytest.importorskip("PIL.Image", reason="Pillow writes and reads the reference images")
SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def _file(image: NDArray[np.uint8], form: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).convert(mode).save(out, form, **options)
    return out.getvalue()


def test_path_bytes_array_and_pillow_image_agree(save_image: SaveImage, photo: NDArray[np.uint8]) -> None:
    path = save_image("photo.png", photo)
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), photo, Image.open(path)):
        np.testing.assert_array_equal(read_image(source), photo)


def test_jpeg_is_decoded_as_pillow_does(photo: NDArray[np.uint8]) -> None:
    data = _file(photo, "JPEG", quality=90)
    difference = np.abs(read_image(data).astype(int) - np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert difference.max() <= 2


def test_opencv_frame_is_turned_to_rgb(photo: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(read_image(np.ascontiguousarray(photo[:, :, ::-1]), bgr=True), photo)


def test_alpha_is_dropped_and_gray_becomes_three_channels(photo: NDArray[np.uint8]) -> None:
    opaque = np.dstack([photo, np.zeros(photo.shape[:2], np.uint8)])
    np.testing.assert_array_equal(read_image(opaque), photo)
    np.testing.assert_array_equal(read_image(opaque[:, :, [2, 1, 0, 3]], bgr=True), photo)
    gray = photo[:, :, 1]
    for form in (gray, gray[:, :, None]):
        np.testing.assert_array_equal(read_image(form), np.dstack([gray] * 3))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_png_of_any_mode_is_what_pillow_reads(photo: NDArray[np.uint8], mode: str) -> None:
    data = _file(photo, "PNG", mode)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(read_image(data), expected)


def test_sixteen_bit_png_keeps_its_high_byte() -> None:
    levels = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    found, data = cv2.imencode(".png", levels)
    assert found
    difference = np.abs(read_image(data.tobytes())[:, :, 0].astype(int) - (levels >> 8))
    assert difference.max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_gray_and_cmyk_jpegs_are_read(mode: str) -> None:
    smooth = np.dstack([np.linspace(20, 230, 64 * 64).reshape(64, 64).astype(np.uint8)] * 3)
    smooth[:, :, 2] = 200
    data = _file(smooth, "JPEG", mode, quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(read_image(data).astype(int) - expected).max() <= 3


def test_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    try:
        image = read_image(out.getvalue())
    except ImageError as error:  # OpenCV before 4.11 cannot read GIF, and says so
        assert "OpenCV cannot decode" in str(error)  # noqa: PT017
        return
    assert image[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("min_size", [None, (50, 50)])
def test_exif_orientation_is_honoured(orientation: int, min_size: tuple[int, int] | None) -> None:
    from PIL import ImageOps

    picture = np.zeros((400, 600, 3), np.uint8)
    picture[:200, :300, 0] = 255
    picture[200:, :300, 1] = 255
    picture[:, 300:, 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _file(picture, "JPEG", exif=exif)
    opened = Image.open(io.BytesIO(data))
    upright = np.asarray(ImageOps.exif_transpose(opened))
    image = read_image(data, min_size=min_size)
    factor = 4 if min_size else 1
    assert image.shape == (upright.shape[0] // factor, upright.shape[1] // factor, 3)
    inner = image[20::40, 20::40].astype(int) - upright[20 * factor :: 40 * factor, 20 * factor :: 40 * factor]
    assert np.abs(inner).max() <= 12
    np.testing.assert_array_equal(read_image(opened), upright)


def test_large_jpeg_is_decoded_small_but_never_below_one_and_a_half_times_what_is_needed() -> None:
    data = _file(np.zeros((1200, 1600, 3), np.uint8), "JPEG")
    assert read_image(data).shape == (1200, 1600, 3)
    assert read_image(data, min_size=(100, 100)).shape == (150, 200, 3)
    assert read_image(data, min_size=(101, 101)).shape == (300, 400, 3)
    assert read_image(data, min_size=(400, 400)).shape == (600, 800, 3)
    assert read_image(data, min_size=(401, 401)).shape == (1200, 1600, 3)


def test_longer_side_that_is_needed_counts_and_the_shorter_one_that_is_there() -> None:
    data = _file(np.zeros((400, 1600, 3), np.uint8), "JPEG")
    # 1.5 times 60 are 90: by 4 the short side has 100, by 8 it has 50
    assert read_image(data, min_size=(20, 60)).shape == read_image(data, min_size=(60, 20)).shape == (100, 400, 3)
    # 1.5 times 68 are 102
    assert read_image(data, min_size=(20, 68)).shape == (200, 800, 3)


def test_large_jpeg_is_decoded_small_from_its_path_too(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(_file(np.zeros((400, 1600, 3), np.uint8), "JPEG"))
    image, full = read_scaled(str(path), min_size=(60, 20))
    assert (image.shape, full) == ((100, 400, 3), (400, 1600))


@pytest.mark.parametrize("as_path", [str, Path])
def test_classifier_decodes_a_large_jpeg_no_larger_than_it_needs(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_path: Callable[[Path], str | Path]
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(_file(np.full((1200, 1600, 3), 90, np.uint8), "JPEG"))
    decoded: list[tuple[int, ...]] = []
    imdecode = cv2.imdecode

    def noting(data: NDArray[np.uint8], flag: int) -> object:
        image = imdecode(data, flag)
        assert image is not None
        decoded.append(image.shape)
        return image

    monkeypatch.setattr(cv2, "imdecode", noting)
    classifier(as_path(path))
    # the tiny model takes 24x32, which is scaled to 27x36: an eighth has more than 1.5 times as many
    assert decoded == [(150, 200, 3)]


def test_large_png_is_decoded_whole() -> None:
    assert read_image(_file(np.zeros((800, 900, 3), np.uint8), "PNG"), min_size=(10, 10)).shape == (800, 900, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the image is empty"), (b"<html>", "is not an image"), (b"\xff\xd8\xff", "is a truncated JPEG")],
)
def test_bytes_that_are_no_image_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read_image(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_image_is_refused(photo: NDArray[np.uint8], form: str, share: float) -> None:
    data = _file(photo, form)
    with pytest.raises(ImageError):
        read_image(data[: int(share * len(data))])


def test_png_with_a_flipped_bit_is_refused(photo: NDArray[np.uint8]) -> None:
    data = bytearray(_file(photo, "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageError, match="is a damaged or truncated PNG"):
        read_image(bytes(data))


def test_truncated_jpeg_with_a_thumbnail_is_refused(photo: NDArray[np.uint8]) -> None:
    """The thumbnail within its EXIF header has an end of its own."""
    thumbnail = _file(photo[:40, :40], "JPEG")
    exif = b"Exif\x00\x00" + thumbnail
    data = _file(photo, "JPEG")
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    assert read_image(data).shape == photo.shape
    with pytest.raises(ImageError, match="truncated JPEG"):
        read_image(data[:-500])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(photo: NDArray[np.uint8]) -> None:
    assert read_image(_file(photo, "JPEG") + b"maker's own data").shape == photo.shape


def test_random_bytes_raise_nothing_else(photo: NDArray[np.uint8]) -> None:
    random = np.random.default_rng(3)
    whole = _file(photo[:32, :32], "JPEG")
    for _ in range(2000):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 8):
            data[place] = int(random.integers(0, 256))
        try:
            assert read_image(bytes(data), min_size=(4, 4)).ndim == 3
        except ImageError as error:
            message = str(error)
            assert "\n" not in message  # noqa: PT017


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 20, 20), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((1, 20, 20, 3), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros(20, np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_other_arrays_are_refused_with_what_was_found(array: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"an array of shape \(.*\) and type .* is not an image; give uint8"):
        read_image(array)


def test_other_things_are_refused() -> None:
    with pytest.raises(ImageError, match="cannot be a int"):
        read_image(7)


def test_folder_that_is_named_like_a_picture_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "cat.jpg"
    folder.mkdir()
    with pytest.raises(ImageError, match=r"cat\.jpg cannot be read: Is a directory$"):
        read_image(folder)


def test_name_that_holds_a_nul_is_one_line() -> None:
    with pytest.raises(ImageError, match=r"cannot be read: embedded null byte$"):
        read_image("cat\0.jpg")


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("pair", [(True, np.zeros((4, 6, 3), np.uint8)), (False, None)])
def test_what_a_video_capture_returns_is_told_from_a_picture(pair: tuple[Any, ...], classifier: Classifier) -> None:
    for given in (read_image, classifier):
        with pytest.raises(ImageError, match=re.escape("what VideoCapture.read() returns: give its second part")):
            given(pair)
    with pytest.raises(ImageError, match=r"^an image cannot be a tuple; if you gave a pair of a bool and a picture, "):
        read_image(pair)
    with pytest.raises(ImageError, match=r"^an image cannot be a bool; if you gave a pair of a bool and a picture, "):
        read_image(pair[0])


class Half:
    """Has a part of what a Pillow image has."""

    mode, size = "RGB", (4, 6)

    def convert(self, mode: str) -> NDArray[np.uint8]:
        raise AssertionError(mode)


def test_thing_that_has_a_part_of_what_a_pillow_image_has_is_none() -> None:
    with pytest.raises(ImageError, match=r"^an image cannot be a Half; give a path, bytes, a uint8 RGB array or a Pil"):
        read_image(Half())


def test_array_of_two_channels_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^an array of shape \(20, 30, 2\) and type uint8 is not an image"):
        read_image(np.zeros((20, 30, 2), np.uint8))


def test_full_size_is_that_before_a_jpeg_is_scaled_down_and_after_it_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = _file(np.zeros((400, 1600, 3), np.uint8), "JPEG", exif=exif)
    for source, size, full in (
        (_file(np.zeros((400, 1600, 3), np.uint8), "JPEG"), (100, 400, 3), (400, 1600)),
        (lying, (400, 100, 3), (1600, 400)),
        (_file(np.zeros((40, 160, 3), np.uint8), "PNG"), (40, 160, 3), (40, 160)),
        (np.zeros((40, 160, 3), np.uint8), (40, 160, 3), (40, 160)),
        (Image.new("RGB", (160, 40)), (40, 160, 3), (40, 160)),
    ):
        image, told = read_scaled(source, min_size=(60, 20))
        assert (image.shape, told) == (size, full)


def test_limit_that_is_given_counts_before_that_of_the_environment(
    tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_file(photo, "PNG"))
    for source in (path, path.read_bytes(), Image.fromarray(photo)):
        monkeypatch.delenv("EDGEVIT_MAX_PIXELS", raising=False)
        name = path if source is path else "the image"
        with pytest.raises(ImageError, match=rf"^{name} has 451 x 300 pixels, more than the 0\.135299 million"):
            read_image(source, max_pixels=300 * 451 - 1)
        monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "7")
        np.testing.assert_array_equal(read_image(source, max_pixels=300 * 451), photo)
        with pytest.raises(ImageError, match="EDGEVIT_MAX_PIXELS="):
            read_image(source)


def test_file_is_not_read_where_it_is_too_large_for_the_limit_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_file(np.zeros((2, 3, 3), np.uint8), "PNG") + bytes(100))
    with pytest.raises(ImageError, match=r"a\.png has 0 MB, more than the 0 that are read of a picture"):
        read_image(tmp_path / "a.png", max_pixels=6)


def test_levels_are_those_of_a_file_by_its_path_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.array([[1000, 1250, 2000]], np.uint16))
    assert read_image(tmp_path / "deep.png", levels=(1000, 2000))[0, :, 0].tolist() == [0, 64, 255]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_pillow_image_of_any_mode_is_read_in_colour(photo: NDArray[np.uint8], mode: str) -> None:
    picture = Image.fromarray(photo).convert(mode)
    np.testing.assert_array_equal(read_image(picture), np.asarray(picture.convert("RGB")))


def test_pillow_image_that_cannot_be_read_is_one_line(photo: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(_file(photo, "JPEG")[:3000])
    closed = Image.open(path)
    closed.close()
    for picture, reason in (
        (Image.open(path), "image file is truncated"),
        (closed, "closed image"),
        (Image.fromarray(photo).convert("LA").convert("La"), "conversion from La to"),
    ):
        with pytest.raises(ImageError, match=rf"^the Pillow image of mode \w+ cannot be read: .*{reason}.*; give one"):
            read_image(picture)


def test_pillow_image_of_floating_point_numbers_needs_levels() -> None:
    with pytest.raises(ImageError, match="^the image holds float32 levels from 0 to 40000, and nothing says which are"):
        read_image(Image.fromarray(np.array([[0, 40000]], np.float32)))


def test_array_is_red_green_blue_unless_it_is_told(photo: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(read_scaled(photo)[0], photo)
    np.testing.assert_array_equal(read_scaled(photo, bgr=True)[0], photo[:, :, ::-1])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pillow_image_is_turned_as_it_says_however_deep_it_is(kind: type[np.unsignedinteger[Any]]) -> None:
    levels = (np.arange(6).reshape(2, 3) * (np.iinfo(kind).max // 5)).astype(kind)
    picture = Image.fromarray(levels)
    picture.getexif()[0x0112] = 6
    assert read_image(picture)[:, :, 0].tolist() == [[153, 0], [204, 51], [255, 102]]
