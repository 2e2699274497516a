"""The bytes of an image file to an upright RGB array: what its header says decides whether and how it is decoded."""

import functools
import os
import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ImageError, OptionError
from edgevit.runtime.images.header import Header, read_header
from edgevit.runtime.images.levels import to_bytes
from edgevit.runtime.images.resample import RGBImage
from edgevit.schema import is_whole

MAX_PIXELS = 64_000_000
"""A picture of more is refused before it is decoded: it takes 3 bytes a pixel, 6 where it has 16 bits."""
MAX_PIXELS_VARIABLE = "EDGEVIT_MAX_PIXELS"
"""Environment variable that sets another limit."""
MARGIN = 1.5
"""A JPEG is decoded at 1/2, 1/4 or 1/8 only if this many times the pixels that are needed remain along each side."""

_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
_TURNED: dict[int, Callable[[RGBImage], RGBImage]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}
"""EXIF orientation to what sets the picture upright."""
_LYING = frozenset((5, 6, 7, 8))
"""EXIF orientations whose height becomes the width."""
_SCAN, _RESTART = b"\xff\xda", re.compile(rb"\xff[\xd0-\xd7]")
"""Where a scan of a JPEG begins, and the marks, numbered by 8, at which decoding may begin anew in it."""
_BLOCK = 8
"""Pixels a side of a JPEG's blocks."""
_NO_DATA = 128
"""A JPEG whose last block has this brightness is looked at closely: libjpeg makes it of data that is missing."""
_BLUE_GREEN_RED = (0.114, 0.587, 0.299)
"""What each adds to the brightness (ITU-T T.871)."""


def pixel_limit() -> int:
    """Return how many pixels a picture may have.

    Raises:
        OptionError: EDGEVIT_MAX_PIXELS is no whole number.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if text and not (is_whole(text) and 0 < int(text) < 1 << 40):
        raise OptionError(f"{MAX_PIXELS_VARIABLE} is {text!r}, expected a number of pixels such as {2 * MAX_PIXELS}")
    return int(text) if text else MAX_PIXELS


def check_header(data: bytes, name: str, max_pixels: int) -> Header:
    """Return what a picture says about itself.

    Raises:
        ImageError: it is no picture, is damaged, or has too many pixels.
    """
    if not data:
        raise ImageError(f"{name} is empty")
    header = read_header(data)
    if header is None:
        raise ImageError(f"{name} is not an image, is damaged, or is of a kind that OpenCV cannot decode")
    if header.fault is not None:
        raise ImageError(f"{name} {header.fault}")
    check_pixels(header.height, header.width, name, max_pixels)
    return header


def check_pixels(height: int, width: int, name: str, max_pixels: int) -> None:
    """Raise ImageError for a picture of too many pixels, or of none."""
    if height < 1 or width < 1:
        raise ImageError(f"{name} is damaged: it is {width} x {height} pixels large")
    if height * width > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the {max_pixels / 1e6:g} million that are decoded; make "
            f"it smaller, or set {MAX_PIXELS_VARIABLE}={height * width}"
        )


def decode(
    data: bytes,
    name: str,
    min_size: tuple[int, int] | None,
    levels: tuple[float, float] | None,
    max_pixels: int,
) -> tuple[RGBImage, tuple[int, int]]:
    """Return the bytes of an image file as an upright (H, W, 3) image, and the (height, width) that it has in full.

    The arguments are read_image's.

    Raises:
        ImageError: as read_image, naming the picture `name`.
    """
    header = check_header(data, name, max_pixels)
    if header.kind == "JPEG":
        image = _decode_jpeg(data, name, header, min_size)
    elif header.kind == "TIFF":
        image = _decode_tiff(data, name, header)
    else:
        image = _decode_with_opencv(data, name, _flag(header))
    upright = turned(to_rgb(to_bytes(image, header.white, levels, name)), header.orientation)
    if header.kind != "JPEG":
        return upright, (upright.shape[0], upright.shape[1])
    full = (header.height, header.width)
    return upright, full if header.orientation not in _LYING else full[::-1]


def _flag(header: Header) -> int:
    if header.white == 0:
        return cv2.IMREAD_UNCHANGED
    return cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if header.white > 255 else 0)


def reduction(size: tuple[int, int], min_size: tuple[int, int]) -> int:
    """Return 1, 2, 4 or 8: by how much a JPEG of (height, width) is reduced where min_size will be made of it."""
    # which side is which depends on the orientation, so both must do for both
    return next((factor for factor in _REDUCED if min(size) // factor >= MARGIN * max(min_size)), 1)


def _decode_jpeg(data: bytes, name: str, header: Header, min_size: tuple[int, int] | None) -> np.ndarray[Any, Any]:
    factor = 1 if min_size is None else reduction((header.height, header.width), min_size)
    flag = _REDUCED.get(factor, cv2.IMREAD_COLOR)
    image = _decode_with_opencv(data, name, flag)
    # given more data, libjpeg goes on with that where some was missing; a whole picture stays as it is
    if _seems_cut(image, _BLOCK // factor):
        # a cut may leave the half of 0xFF 0x00, which would be a mark with what follows
        end = len(data[: header.end].rstrip(b"\xff"))
        longer = _decode_with_opencv(data[:end] + _more(data, end) + data[end:], name, flag)
        if longer.shape != image.shape or (longer != image).any():
            raise ImageError(f"{name} is a damaged JPEG, a part of which is missing; copy or record it again")
    return image


def _seems_cut(image: np.ndarray[Any, Any], block: int) -> bool:
    """Tell whether the last block, of so many pixels a side, is as if its data were missing.

    Only what of it lies in the picture counts, and no colours: those are smoothed with the ones beside.
    """
    rows, columns = ((length - 1) % block + 1 for length in image.shape[:2])
    brightness = image[-rows:, -columns:] @ np.array(_BLUE_GREEN_RED)
    return bool((abs(brightness - _NO_DATA) < 2).all())


def _more(data: bytes, end: int) -> bytes:
    """Return what a decoder that still waits for data at `end` takes for some, also behind the restart mark it expects.

    Where packets of a camera's stream are lost, a JPEG is often cut just before such a mark.
    """
    restarts = _RESTART.findall(data, max(0, data.rfind(_SCAN, 0, end)), end)
    due = (restarts[-1][1] + 1) % 8 if restarts else 0
    return _noise() + bytes((0xFF, 0xD0 + due)) + _noise()


@functools.cache
def _noise() -> bytes:
    """Return bytes, none of them 0xFF, that a decoder which still waits for picture data takes for some."""
    return np.random.default_rng(0).integers(0, 255, 4096, np.uint8).tobytes()


def _decode_tiff(data: bytes, name: str, header: Header) -> np.ndarray[Any, Any]:
    """Return the colours as they are stored: OpenCV would turn the picture, and multiply them with an alpha channel."""
    from edgevit.runtime.images import tiff_tags

    data = tiff_tags.replace_tag(data, tiff_tags.ORIENTATION, 1)
    extra = (tiff_tags.read_tags(data) or {}).get(tiff_tags.EXTRA_SAMPLES, (0,))[0]
    if extra == tiff_tags.ASSOCIATED and header.white == 255:
        image = _decode_with_opencv(data, name, cv2.IMREAD_UNCHANGED)
        return _without_alpha(image) if image.ndim == 3 and image.shape[2] == 4 else image
    if extra == tiff_tags.UNASSOCIATED:
        # the decoder then takes them for multiplied already, and leaves them
        data = tiff_tags.replace_tag(data, tiff_tags.EXTRA_SAMPLES, tiff_tags.ASSOCIATED)
    image = _decode_with_opencv(data, name, _flag(header))
    if header.white > 255 and image.dtype == np.uint8:
        raise ImageError(
            f"{name} has more than 8 bits, of which the decoder keeps 8, as it does of grey with an alpha channel; "
            "save it without alpha, or with 8 bits"
        )
    return np.asarray(header.white - image, image.dtype) if header.white_is_zero else image


def _without_alpha(image: np.ndarray[Any, Any]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) colours of bytes (H, W, 4) that are multiplied with the alpha channel, as Pillow does."""
    alpha = np.maximum(image[:, :, 3:], 1).astype(np.uint16)
    return np.asarray(np.minimum(image[:, :, :3] * np.uint16(255) // alpha, 255), np.uint8)


def _decode_with_opencv(data: bytes, name: str, flag: int) -> np.ndarray[Any, Any]:
    """Return (H, W) or (H, W, channels), blue first, not turned."""
    try:
        # turned by read_image and nowhere else: what OpenCV does depends on the kind of file and on its version
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"{name} cannot be decoded: {error.err or error}") from error
    if image is None:
        raise ImageError(f"{name} is not an image, is damaged, or is of a kind that OpenCV cannot decode")
    return np.asarray(image)


def to_rgb(pixels: NDArray[np.uint8]) -> RGBImage:
    """Return (H, W), (H, W, 1) or (H, W, 3 or 4), blue first, as (H, W, 3), red first."""
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    colors = np.ascontiguousarray(pixels[:, :, :3])
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB, dst=colors), np.uint8)


def turned(image: RGBImage, orientation: int) -> RGBImage:
    """Return an (H, W, 3) picture of this Exif orientation upright; another number than 1..8 is taken for 1."""
    return np.ascontiguousarray(_TURNED.get(orientation, _TURNED[1])(image))
