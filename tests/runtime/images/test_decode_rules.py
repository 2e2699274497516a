"""Each rule of decoding by itself: the limit of pixels, the reduced scale, missing data, and the forms of a TIFF."""

import io
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError, OptionError
from edgevit.runtime.images import tiff_tags
from edgevit.runtime.images.decode import check_header, check_pixels, decode, pixel_limit, to_rgb, turned
from edgevit.runtime.images.header import read_header
from edgevit.runtime.images.read import read_image

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the pictures")
tifffile = pytest.importorskip("tifffile")


def file_of(image: NDArray[np.uint8], form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, form, **options)
    return out.getvalue()


def tiff_of(image: NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, image, **options)
    return out.getvalue()


# ---------------------------------------------------------------- how many pixels


@pytest.mark.parametrize(("text", "limit"), [("", 64_000_000), ("1", 1), ("1099511627775", 1_099_511_627_775)])
def test_limit_is_a_number_from_1_to_2_to_the_40th(monkeypatch: pytest.MonkeyPatch, text: str, limit: int) -> None:
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", text)
    assert pixel_limit() == limit


@pytest.mark.parametrize("text", ["0", "-5", "1e9", "1099511627776", " 7", "64 million"])
def test_other_limits_are_refused_with_an_example(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", text)
    with pytest.raises(OptionError) as caught:
        pixel_limit()
    assert str(caught.value) == (f"EDGEVIT_MAX_PIXELS is {text!r}, expected a number of pixels such as 128000000")


def test_limit_without_a_variable_is_64_million(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEVIT_MAX_PIXELS", raising=False)
    assert pixel_limit() == 64_000_000


def test_picture_of_just_the_limit_is_none_too_many() -> None:
    check_pixels(1000, 1500, "a.png", 1_500_000)
    check_pixels(1, 1, "a.png", 1)
    with pytest.raises(ImageError) as caught:
        check_pixels(1000, 1501, "a.png", 1_500_000)
    assert str(caught.value) == (
        "a.png has 1501 x 1000 pixels, more than the 1.5 million that are decoded; make it smaller, or set "
        "EDGEVIT_MAX_PIXELS=1501000"
    )


@pytest.mark.parametrize(("height", "width"), [(0, 7), (7, 0), (-1, 7)])
def test_picture_without_pixels_is_damaged(height: int, width: int) -> None:
    with pytest.raises(ImageError, match=rf"^a\.png is damaged: it is {width} x {height} pixels large$"):
        check_pixels(height, width, "a.png", 100)


def test_header_is_that_of_a_sound_picture_within_the_limit(photo: NDArray[np.uint8]) -> None:
    data = file_of(photo, "PNG")
    header = check_header(data, "a.png", 300 * 451)
    assert (header.kind, header.height, header.width) == ("PNG", 300, 451)
    for wrong, limit, message in (
        (b"", 300 * 451, "a.png is empty"),
        (b"text", 300 * 451, "a.png is not an image, is damaged, or is of a kind that OpenCV cannot decode"),
        (data[:-9], 300 * 451, "a.png is a damaged or truncated PNG; copy or record it again"),
        (data, 300 * 451 - 1, "a.png has 451 x 300 pixels, more than the "),
    ):
        with pytest.raises(ImageError, match="^" + re.escape(message)):
            check_header(wrong, "a.png", limit)


# ---------------------------------------------------------------- what the decoder says


def test_what_opencv_throws_or_cannot_decode_is_one_line(
    photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file_of(photo, "PNG")

    def throw(*_: object) -> None:
        error = cv2.error("OpenCV(5.0.0) many lines\nof source")
        error.err = "out of memory"
        raise error

    monkeypatch.setattr(cv2, "imdecode", throw)
    with pytest.raises(ImageError, match=r"^b\.png cannot be decoded: out of memory$"):
        decode(data, "b.png", None, None, 10**6)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(
        ImageError, match=r"^b\.png is not an image, is damaged, or is of a kind that OpenCV cannot dec"
    ):
        decode(data, "b.png", None, None, 10**6)


@pytest.mark.parametrize(
    ("brand", "what"),
    [(b"heic", "a HEIC picture"), (b"isom", "a video"), (b"qt  ", "a video"), (b"crx ", "a HEIC picture")],
)
def test_video_is_no_heic_picture_though_both_begin_with_the_same_box(brand: bytes, what: str) -> None:
    file = (24).to_bytes(4) + b"ftyp" + brand + bytes(4) + brand + b"mp41" + bytes(100)
    with pytest.raises(ImageError, match=f"^the image is {what}, "):
        read_image(file)


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "mp4v")])
def test_video_given_as_a_picture_says_what_reads_it(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"clip{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with pytest.raises(ImageError, match=r"clip\.\w+ is a video, and no picture; `stream` reads it"):
        read_image(path)


@pytest.mark.parametrize(
    ("pixels", "rgb"),
    [
        (np.array([[7, 9]], np.uint8), [[[7, 7, 7], [9, 9, 9]]]),
        (np.array([[[7], [9]]], np.uint8), [[[7, 7, 7], [9, 9, 9]]]),
        (np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), [[[3, 2, 1], [6, 5, 4]]]),
        (np.array([[[1, 2, 3, 200], [4, 5, 6, 0]]], np.uint8), [[[3, 2, 1], [6, 5, 4]]]),
    ],
    ids=["grey", "one channel", "blue first", "with alpha"],
)
def test_decoded_pixels_become_three_channels_red_first(pixels: NDArray[np.uint8], rgb: list[Any]) -> None:
    assert to_rgb(pixels).tolist() == rgb


def test_orientation_that_exif_does_not_know_turns_nothing() -> None:
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    for number in (0, 1, 9, -1):
        np.testing.assert_array_equal(turned(image, number), image)
    upright = turned(image, 6)
    np.testing.assert_array_equal(upright, np.rot90(image, -1))
    assert upright.flags.c_contiguous


# ---------------------------------------------------------------- a JPEG


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


MISSING = r"^the image is a damaged JPEG, a part of which is missing; copy or record it again$"


def restarts(data: bytes) -> list[int]:
    """Return where the marks stand at which decoding may begin anew."""
    return [mark.start() for mark in re.finditer(rb"\xff[\xd0-\xd7]", data)]


@pytest.mark.parametrize("min_size", [None, (20, 20), (8, 8)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("behind", [0, 2, 40], ids=["before the mark", "behind it", "in the data that follows"])
def test_jpeg_that_is_cut_at_a_restart_mark_is_refused(
    min_size: tuple[int, int] | None, subsampling: int, behind: int
) -> None:
    # as where the last packets of a picture are lost
    data = file_of(noise(128, 160), "JPEG", restart_marker_rows=1, subsampling=subsampling)
    assert read_image(data, min_size=min_size).ndim == 3
    for mark in restarts(data)[:6]:
        with pytest.raises(ImageError, match=MISSING):
            read_image(data[: mark + behind] + b"\xff\xd9", min_size=min_size)


def test_jpeg_that_lacks_its_last_block_alone_is_refused_at_the_smallest_scale() -> None:
    # each block of 16 x 16 pixels, at 1/8 of 2 x 2, stands between two marks
    data = file_of(noise(128, 160), "JPEG", restart_marker_blocks=1, subsampling=2)
    marks = restarts(data)
    assert len(marks) == 8 * 10 - 1
    with pytest.raises(ImageError, match=MISSING):
        read_image(data[: marks[-1]] + b"\xff\xd9", min_size=(8, 8))


def test_marks_of_a_thumbnail_do_not_count() -> None:
    thumbnail = file_of(noise(32, 16), "JPEG", restart_marker_rows=1, subsampling=2)
    assert len(restarts(thumbnail)) == 1
    data = file_of(noise(32, 160), "JPEG", restart_marker_rows=1, subsampling=2, exif=b"Exif\x00\x00" + thumbnail)
    _, mark = restarts(data)
    assert read_image(data, min_size=(2, 2)).ndim == 3
    # the second half, whose mark is the first
    with pytest.raises(ImageError, match=MISSING):
        read_image(data[:mark] + b"\xff\xd9", min_size=(2, 2))


@pytest.mark.parametrize("min_size", [None, (20, 20)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(("height", "width"), [(128, 160), (129, 161), (130, 162), (136, 168)])
def test_jpeg_that_is_cut_just_before_its_end_is_refused_but_for_its_last_block(
    height: int, width: int, subsampling: int, min_size: tuple[int, int] | None
) -> None:
    # the data of a block depends on the one before it, so a cut picture is as the whole one up to the cut
    picture = np.asarray(cv2.GaussianBlur(noise(height, width), (0, 0), 1), np.uint8)
    data = file_of(picture, "JPEG", subsampling=subsampling)
    whole, wrong = read_image(data, min_size=min_size), np.zeros((height, width), bool)
    refused = 0
    for missing in range(1, 600):
        try:
            image = read_image(data[: -2 - missing] + b"\xff\xd9", min_size=min_size)
        except ImageError:
            refused += 1
        else:
            wrong[: len(whole), : whole.shape[1]] |= (image != whole).any(axis=2)
    # colours are smoothed over one more pixel
    assert not wrong[: len(whole) - 17].any()
    assert not wrong[:, : whole.shape[1] - 17].any()
    assert refused > 400


def test_jpeg_that_is_cut_within_a_byte_of_ones_is_refused() -> None:
    data = file_of(noise(64, 96), "JPEG", quality=95, subsampling=0)
    cuts = [cut.start() + 1 for cut in re.finditer(rb"\xff\x00", data[:-300])][-3:]
    assert len(cuts) == 3
    for cut in cuts:
        with pytest.raises(ImageError, match=MISSING):
            read_image(data[:cut] + b"\xff\xd9")


@pytest.mark.parametrize("restart_marker_blocks", [0, 1, 7])
def test_whole_jpeg_that_is_grey_in_its_last_corner_is_taken(restart_marker_blocks: int) -> None:
    picture = noise(64, 96)
    picture[32:, 64:] = 128
    data = file_of(picture, "JPEG", quality=95, subsampling=0, restart_marker_blocks=restart_marker_blocks)
    assert (read_image(data)[-16:, -16:] == 128).all()


def test_jpeg_that_is_grey_in_its_last_corner_is_decoded_again_with_more_data(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(64, 96)
    picture[32:, 64:] = 128
    data = file_of(picture, "JPEG", quality=95, subsampling=0) + b"maker's own data"
    given: list[bytes] = []
    imdecode = cv2.imdecode

    def noting(array: NDArray[np.uint8], flag: int) -> Any:
        given.append(array.tobytes())
        return imdecode(array, flag)

    monkeypatch.setattr(cv2, "imdecode", noting)
    read_image(data)
    first, second = given
    end = data.index(b"\xff\xd9", len(data) - 40)
    assert first == data
    # bytes are put in where its data ends, the same before a mark and behind it
    assert (second[:end], second[end - len(data) :]) == (data[:end], data[end:])
    before, mark, behind = second[end : end - len(data)].partition(b"\xff\xd0")
    assert before == behind
    assert (len(before), mark, before.count(b"\xff")) == (4096, b"\xff\xd0", 0)


def test_jpeg_that_is_not_grey_in_its_last_corner_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(64, 96)
    picture[32:, 64:] = 128
    picture[56:, 88:] = 120  # the last block
    count = 0
    imdecode = cv2.imdecode

    def counting(array: NDArray[np.uint8], flag: int) -> Any:
        nonlocal count
        count += 1
        return imdecode(array, flag)

    monkeypatch.setattr(cv2, "imdecode", counting)
    read_image(file_of(picture, "JPEG", quality=95, subsampling=0))
    assert count == 1


# ---------------------------------------------------------------- a TIFF


def test_colours_that_are_multiplied_with_an_alpha_channel_are_divided_by_it() -> None:
    colours = np.array([[[60, 30, 12], [200, 100, 50], [3, 0, 1], [77, 78, 79], [1, 0, 2]]], np.uint8)
    alpha = np.array([[[120], [100], [0], [255], [1]]], np.uint8)
    data = tiff_of(np.dstack([colours, alpha]), photometric="rgb", extrasamples=[1])
    # 255 * 60 // 120 and so on; where alpha is 0 it counts as 1
    expected = [[[127, 63, 25], [255, 255, 127], [255, 0, 255], [77, 78, 79], [255, 0, 255]]]
    assert read_image(data).tolist() == expected


@pytest.mark.parametrize("extra", [0, 1, 2], ids=["unspecified", "multiplied", "apart"])
def test_sixteen_bits_with_an_alpha_channel_keep_the_colours_that_are_stored(extra: int) -> None:
    colours = np.array([[[0, 30 * 257, 12 * 257], [65535, 100 * 257, 50 * 257]]], np.uint16)
    data = tiff_of(np.dstack([colours, [[5000, 700]]]).astype(np.uint16), photometric="rgb", extrasamples=[extra])
    assert read_image(data).tolist() == [[[0, 30, 12], [255, 100, 50]]]


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("extra", [0, 1, 2], ids=["unspecified", "multiplied", "apart"])
def test_grey_of_sixteen_bits_with_an_alpha_channel_is_refused_with_what_helps(photometric: str, extra: int) -> None:
    stored = np.array([[[0, 65535], [30 * 257, 40000], [65535, 65535]]], np.uint16)
    options: dict[str, Any] = {"photometric": photometric, "extrasamples": [extra], "planarconfig": "contig"}
    with pytest.raises(ImageError, match=r"grey with an alpha channel; save it without alpha, or with 8 bits$"):
        read_image(tiff_of(stored, **options))
    # both of which are read
    for mended in (
        tiff_of(stored[:, :, 0], photometric=photometric),
        tiff_of((stored >> 8).astype(np.uint8), **options),
    ):
        levels = [0, 30, 255] if photometric == "minisblack" else [255, 225, 0]
        assert read_image(mended)[0, :, 1].tolist() == levels


def test_three_channels_are_those_that_are_stored_whatever_their_last_is_called() -> None:
    picture = noise(5, 7)
    np.testing.assert_array_equal(read_image(tiff_of(picture, photometric="rgb")), picture)


@pytest.mark.parametrize(("kind", "scale"), [(np.uint8, 1), (np.uint16, 257)])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_lowest_level_is_white_where_the_file_says_so(kind: type, scale: int, photometric: str) -> None:
    levels = np.array([[0, 10, 200], [255, 30, 100]])
    data = tiff_of((levels * scale).astype(kind), photometric=photometric)
    expected = levels if photometric == "minisblack" else 255 - levels
    np.testing.assert_array_equal(read_image(data), np.dstack([expected] * 3))


def test_levels_of_a_picture_whose_lowest_is_white_are_those_of_the_turned_ones() -> None:
    stored = np.array([[65535 - 1000, 65535 - 1500, 65535 - 2000]], np.uint16)
    data = tiff_of(stored, photometric="miniswhite")
    assert read_image(data, levels=(1000, 2000))[0, :, 1].tolist() == [0, 128, 255]


def test_tiff_is_turned_once_and_its_full_size_is_the_turned_one() -> None:
    picture = noise(4, 9)
    data = tiff_of(picture, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    header = read_header(data)
    assert header is not None
    assert (header.orientation, header.height) == (6, 4)
    image, full = decode(data, "a.tiff", (2, 2), None, 100)
    assert full == (9, 4)
    np.testing.assert_array_equal(image, np.rot90(picture, -1))


@pytest.mark.parametrize("photometric", [8, 9, 10])
def test_lab_colours_are_refused_as_the_decoder_takes_them_for_others(photometric: int) -> None:
    data = tiff_of(noise(5, 7), photometric="rgb")
    assert (tags := tiff_tags.read_tags(data)) is not None
    assert tags[tiff_tags.PHOTOMETRIC] == (2,)
    lab = tiff_tags.replace_tag(data, tiff_tags.PHOTOMETRIC, photometric)
    with pytest.raises(
        ImageError, match=r"^the image holds Lab colours, which are not read; convert it to JPEG or PNG$"
    ):
        read_image(lab)
