"""A picture is measured before it is decoded, turned as it says, and refused where a part of it is missing."""

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError, OptionError
from edgevit.runtime.images.decode import pixel_limit
from edgevit.runtime.images.header import read_header
from edgevit.runtime.images.read import read_image
from tests.places import SHARED

Image = pytest.importorskip("PIL.Image", reason="Pillow writes and reads the reference images")
from PIL import ImageOps  # noqa: E402 - only where Pillow is there

PICTURES = SHARED / "cases" / "pictures"
FORMS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM", "AVIF")
TURNING = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
LIMIT = "more than the 64 million that are decoded; make it smaller, or set EDGEVIT_MAX_PIXELS="


def file_of(image: NDArray[np.uint8], form: str, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    try:
        Image.fromarray(image).convert(mode).save(out, form, **options)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow cannot write {form}: {error}")
    return out.getvalue()


def upright(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("form", FORMS)
def test_size_is_read_from_the_header(photo: NDArray[np.uint8], form: str) -> None:
    header = read_header(file_of(photo, form))
    assert header is not None
    assert (header.height, header.width, header.fault) == (300, 451, None)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"Exif\x00\x00MM"}])
def test_size_of_each_form_of_webp_is_read(photo: NDArray[np.uint8], options: dict[str, Any]) -> None:
    header = read_header(file_of(photo, "WEBP", **options))
    assert header is not None
    assert (header.height, header.width) == (300, 451)


@pytest.mark.parametrize("form", TURNING)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_turned_as_pillow_turns_it(photo: NDArray[np.uint8], form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(photo[:60, :90], form, exif=exif)
    expected, found = upright(data), read_image(data)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_orientation_may_be_short_or_long_in_either_order(photo: NDArray[np.uint8], order: str, kind: int) -> None:
    """One entry (TIFF 6.0): tag, type, count, and the value in four bytes, to the left in the file's own order."""
    value = struct.pack(f"{order}HH" if kind == 3 else f"{order}I", *((6, 0) if kind == 3 else (6,)))
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    block = head + struct.pack(f"{order}HHHI", 1, 0x0112, kind, 1) + value + bytes(4)
    data = file_of(photo[:60, :90], "JPEG", exif=b"Exif\x00\x00" + block)
    plain = read_image(file_of(photo[:60, :90], "JPEG"))
    np.testing.assert_array_equal(read_image(data), plain[::-1].transpose(1, 0, 2))


@pytest.mark.parametrize("alpha", [2, 1, 0], ids=["apart", "multiplied", "unspecified"])
def test_alpha_of_a_tiff_is_dropped_and_not_multiplied_in(photo: NDArray[np.uint8], alpha: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    opacity = np.full((*photo.shape[:2], 1), 64, np.uint8)
    colors = photo // 4 if alpha == 1 else photo
    out = io.BytesIO()
    tifffile.imwrite(out, np.dstack([colors, opacity]), photometric="rgb", extrasamples=[alpha])
    difference = np.abs(read_image(out.getvalue()).astype(int) - photo)
    assert difference.max() <= (4 if alpha == 1 else 0)


# levels of more than eight bits


def deep(low: int, high: int) -> NDArray[np.uint16]:
    """(32, 64) levels from low to high, from left to right."""
    return np.tile(np.linspace(low, high, 64).round().astype(np.uint16), (32, 1))


def deep_file(levels: NDArray[np.uint16], suffix: str) -> bytes:
    written, data = cv2.imencode(suffix, levels)
    assert written
    return data.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm", ".jp2"])
def test_whole_range_of_sixteen_bits_becomes_bytes(suffix: str) -> None:
    levels = deep(0, 65535)
    found = read_image(deep_file(levels, suffix))
    assert found.shape == (32, 64, 3)
    assert np.abs(found[:, :, 1].astype(int) - (levels >> 8)).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm", ".jp2"])
@pytest.mark.parametrize(("low", "high"), [(0, 4095), (7500, 8265), (0, 16383)])
def test_small_part_of_sixteen_bits_is_refused_or_stretched(suffix: str, low: int, high: int) -> None:
    levels = deep(low, high)
    data = deep_file(levels, suffix)
    with pytest.raises(ImageError, match=rf"uses only levels {low} to {high} of 0 to 65535; give levels=LOW,HIGH"):
        read_image(data)
    found = read_image(data, levels=(low, high))[:, :, 0]
    np.testing.assert_array_equal(found, np.rint((levels - float(low)) / (high - low) * 255))


def test_levels_beyond_those_told_are_black_and_white() -> None:
    found = read_image(deep_file(deep(0, 65535), ".png"), levels=(20000, 30000))[0, :, 0]
    assert (found[0], found[-1]) == (0, 255)


def test_bytes_are_left_as_they_are_whatever_the_levels(photo: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(read_image(file_of(photo, "PNG"), levels=(0, 4095)), photo)


def test_highest_level_that_a_pgm_names_is_white() -> None:
    levels = deep(0, 4095)
    data = b"P5\n# twelve bits\n64 32\n4095\n" + levels.astype(">u2").tobytes()
    assert np.abs(read_image(data)[:, :, 0].astype(int) - (levels >> 4)).max() <= 1
    few = b"P5\n64 32\n100\n" + np.tile(np.linspace(0, 100, 64).astype(np.uint8), (32, 1)).tobytes()
    assert read_image(few)[0, [0, -1], 0].tolist() == [0, 255]


def test_floating_point_picture_needs_levels() -> None:
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    celsius = deep(0, 40).astype(np.float32)
    tifffile.imwrite(out, celsius, photometric="minisblack")
    with pytest.raises(ImageError, match=r"holds float32 levels from 0 to 40, .*give levels=LOW,HIGH"):
        read_image(out.getvalue())
    for source in (out.getvalue(), Image.fromarray(celsius)):
        np.testing.assert_array_equal(read_image(source, levels=(0, 40))[:, :, 0], np.rint(celsius / 40 * 255))


@pytest.mark.parametrize(("low", "high"), [(0, 65535), (300, 60000), (0, 4095)])
@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_pillow_image_of_sixteen_bits_answers_like_its_file(low: int, high: int, mode: str) -> None:
    levels = deep(low, high)
    pillow = Image.fromarray(levels if mode == "I;16" else levels.astype(np.int32))
    assert pillow.mode == mode
    for told in (None, (low, high)):
        found: list[NDArray[np.uint8] | str] = []
        for source in (deep_file(levels, ".png"), pillow):
            try:
                found.append(read_image(source, levels=told))
            except ImageError as error:
                found.append(str(error))
        np.testing.assert_array_equal(found[0], found[1])


# what is missing or too large


@pytest.mark.parametrize(
    ("options", "share"),
    [
        *((options, share) for options in ({}, {"optimize": True}, {"restart_marker_rows": 1}) for share in (0.2, 0.8)),
        # of a picture of noise, the last scan of a progressive one is more than a third, and only refines
        ({"progressive": True}, 0.2),
        ({"progressive": True}, 0.4),
    ],
)
@pytest.mark.parametrize("min_size", [None, (40, 40)])
def test_half_a_jpeg_with_an_end_is_refused(
    photo: NDArray[np.uint8], options: dict[str, Any], share: float, min_size: tuple[int, int] | None
) -> None:
    data = file_of(np.tile(photo, (2, 2, 1)), "JPEG", **options)
    assert read_image(data, min_size=min_size).ndim == 3
    with pytest.raises(ImageError, match="is a truncated JPEG|is a damaged JPEG, a part of which is missing"):
        read_image(data[: int(share * len(data))] + b"\xff\xd9", min_size=min_size)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_plain_jpeg_is_whole(level: int) -> None:
    forms: list[dict[str, Any]] = [{}, {"optimize": True}, {"progressive": True}]
    for options in forms:
        assert (read_image(file_of(np.full((90, 70, 3), level, np.uint8), "JPEG", **options)) == level).all()


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_jpeg_2000_that_ends_in_zeros_is_refused(photo: NDArray[np.uint8], share: float) -> None:
    data = file_of(photo, "JPEG2000")
    kept = int(share * len(data))
    with pytest.raises(ImageError, match="is a damaged or truncated JPEG 2000 picture"):
        read_image(data[:kept] + bytes(len(data) - kept))


def test_webp_that_ends_in_zeros_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    data = file_of(noise, "WEBP", quality=90)
    assert read_image(data).shape == noise.shape
    assert (read_image(file_of(np.zeros((3000, 3000, 3), np.uint8), "WEBP")) == 0).all()  # its data is zeros too
    with pytest.raises(ImageError, match="is a damaged or truncated WebP"):
        read_image(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def huge_png(height: int, width: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def with_size(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


SMALL = np.zeros((33, 77, 3), np.uint8)
HUGE: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: huge_png(30000, 30000),
    "JPEG": lambda: with_size(file_of(SMALL, "JPEG"), struct.pack(">HH", 33, 77), struct.pack(">HH", 16000, 65500)),
    "GIF": lambda: with_size(file_of(SMALL, "GIF"), struct.pack("<HH", 77, 33), struct.pack("<HH", 65000, 65000)),
    "BMP": lambda: with_size(file_of(SMALL, "BMP"), struct.pack("<ii", 77, 33), struct.pack("<ii", 30000, 30000)),
    "PPM": lambda: b"P6 30000 30000 255 ",
    "WEBP": lambda: with_size(file_of(SMALL, "WEBP"), struct.pack("<HH", 77, 33), struct.pack("<HH", 16383, 16383)),
    "JPEG2000": lambda: with_size(
        file_of(SMALL, "JPEG2000"),
        b"\xff\x51\x00\x2f\x00\x00" + struct.pack(">II", 77, 33),
        b"\xff\x51\x00\x2f\x00\x00" + struct.pack(">II", 30000, 30000),
    ),
    "AVIF": lambda: with_size(
        file_of(SMALL, "AVIF"), b"ispe" + struct.pack(">III", 0, 77, 33), b"ispe" + struct.pack(">III", 0, 30000, 30000)
    ),
    "TIFF": lambda: with_size(
        with_size(file_of(SMALL, "TIFF"), struct.pack("<HHII", 256, 4, 1, 77), struct.pack("<HHII", 256, 4, 1, 60000)),
        struct.pack("<HHII", 257, 4, 1, 33),
        struct.pack("<HHII", 257, 4, 1, 60000),
    ),
}


@pytest.mark.parametrize("form", HUGE)
def test_picture_of_too_many_pixels_is_refused_before_it_is_decoded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HUGE[form]()
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=re.escape(LIMIT)):
        read_image(data)


def test_limit_of_pixels_can_be_set(monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8]) -> None:
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "135299")  # 300 x 451 is one more
    for source in (file_of(photo, "PNG"), Image.fromarray(photo)):
        with pytest.raises(ImageError, match="has 451 x 300 pixels, more than the 0.135299 million"):
            read_image(source)
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "135300")
    assert read_image(file_of(photo, "PNG")).shape == photo.shape
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "many")
    with pytest.raises(OptionError, match="EDGEVIT_MAX_PIXELS is 'many', expected a number of pixels"):
        pixel_limit()


def test_file_that_is_too_large_for_a_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate(4 * 64_000_000 + 1)  # takes no room on the disk
    with pytest.raises(ImageError, match=r"large\.bmp has 256 MB, more than the 256 that are read of a picture"):
        read_image(path)


def test_pipe_and_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageError, match="cannot be read: it is a pipe or a device, not a file"):
            read_image(path)


def test_bytes_of_no_known_kind_are_not_given_to_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for data in (b"#?RADIANCE\n\n-Y 1 +X 1\n", b"\x59\xa6\x6a\x95" + bytes(40), b"v/1\x01" + bytes(40)):
        with pytest.raises(ImageError, match="is not an image, is damaged, or is of a kind"):
            read_image(data)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_header_raises_nothing_else(form: str) -> None:
    random = np.random.default_rng(5)
    whole = file_of(SMALL, form)
    for _ in range(300):
        data = bytearray(whole[: int(random.integers(1, len(whole) + 1))])
        for place in random.integers(0, min(len(data), 400), 6):
            data[place] = int(random.integers(0, 256))
        try:
            assert read_image(bytes(data), max_pixels=1_000_000).ndim == 3
        except ImageError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the cases lie beside a checkout")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gray12in16.png", "uses only levels 336 to 4080 of 0 to 65535"),
        ("y12.png", "uses only levels 0 to 4080 of 0 to 65535"),
        ("lepton14.tiff", "uses only levels 7500 to 8265 of 0 to 65535"),
        ("zerotail.jp2", "is a damaged or truncated JPEG 2000 picture"),
        ("trunc_hole_eoi.jpg", "is a damaged JPEG, a part of which is missing"),
        ("bomb1bit_1024MP.png", "has 32000 x 32000 pixels, more than the 64 million"),
        ("wide.png", "has 1000000 x 1000 pixels, more than the 64 million"),
        ("lying_1048MP.jpg", "has 65500 x 16000 pixels, more than the 64 million"),
        ("plain.heic", "is a HEIC picture, .* convert it to JPEG or PNG"),
    ],
)
def test_case_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(ImageError, match=rf"{re.escape(name)} {reason}"):
        read_image(PICTURES / name)


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the cases lie beside a checkout")
@pytest.mark.parametrize("name", ["exif6.avif", "exif_be_long6_2.jpg", "plain.jfif"])
def test_case_is_what_pillow_makes_of_it(name: str) -> None:
    data = (PICTURES / name).read_bytes()
    expected = upright(data)
    found = read_image(data)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the cases lie beside a checkout")
@pytest.mark.parametrize(("name", "levels"), [("gray12in16.png", (0, 4095)), ("lepton14.tiff", (7500, 8265))])
def test_case_of_sixteen_bits_is_the_same_by_path_and_as_an_image(name: str, levels: tuple[float, float]) -> None:
    pillow = Image.open(PICTURES / name)
    found = read_image(PICTURES / name, levels=levels)
    np.testing.assert_array_equal(found, read_image(pillow, levels=levels))
    low, high = levels
    np.testing.assert_array_equal(found[:, :, 2], np.rint((np.asarray(pillow) - low) / (high - low) * 255))


def test_jpeg2000_that_ends_as_a_part_begins_is_damaged_and_read_once() -> None:
    """A part of length 0 reaches to the end; where a part's own mark stands there, a walk could begin anew for ever."""
    data = bytearray(cv2.imencode(".jp2", np.tile(np.arange(64, dtype=np.uint8), (64, 1)))[1].tobytes())
    part = data.index(b"\xff\x90")
    data[part + 6 : part + 10] = bytes(4)
    assert (header := read_header(bytes(data))) is not None
    assert header.fault is None
    data[-2:] = b"\xff\x90"
    assert (header := read_header(bytes(data))) is not None
    assert header.fault == "is a damaged or truncated JPEG 2000 picture; copy or record it again"
