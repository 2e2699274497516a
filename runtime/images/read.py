"""What a user has (a path, bytes, an array, a Pillow image) to an RGB array."""

import os
import re
from typing import Any, TypeGuard

import cv2
import numpy as np

from edgevit.artifact.files import open_regular
from edgevit.errors import ImageError
from edgevit.runtime.images.decode import (
    MAX_PIXELS_VARIABLE,
    check_header,
    check_pixels,
    decode,
    pixel_limit,
    to_rgb,
    turned,
)
from edgevit.runtime.images.header import Header, read_header
from edgevit.runtime.images.levels import to_bytes
from edgevit.runtime.images.resample import RGBImage
from edgevit.schema import check_argument

_BYTES_PER_PIXEL = 4
"""A file of more than so many for each pixel of the limit is not read."""

_HEAD = 1 << 18
"""Bytes of a JPEG in which its size almost always stands."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""How an address begins, also one that was made a path, which leaves one slash of two; Windows' C:/ is none."""
_EXIF_ORIENTATION = 0x0112
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of more than eight bits, which its own conversion would cut at 255."""


def read_image(
    source: Any,
    *,
    bgr: bool = False,
    min_size: tuple[int, int] | None = None,
    levels: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> RGBImage:
    """Return an upright (H, W, 3) image.

    Args:
        source: a path, the bytes of an image file, a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a
            Pillow image. An alpha channel is dropped.
        bgr: an array's channels are blue, green, red, as OpenCV's are.
        min_size: (height, width) that will be made of it; a JPEG much larger than that is decoded at reduced scale.
        levels: those of a picture of more than eight bits that are black and white; None for its whole range.
        max_pixels: more are refused before decoding; None for EDGEVIT_MAX_PIXELS, or 64 million.

    Raises:
        ImageError: it does not exist, cannot be decoded, ends too early, is too large, uses a small part of more than
            256 levels while no `levels` are told, or is of another kind.
        OptionError: `bgr` is neither True nor False, or EDGEVIT_MAX_PIXELS is no whole number.
    """
    return read_scaled(source, bgr=bgr, min_size=min_size, levels=levels, max_pixels=max_pixels)[0]


def read_scaled(
    source: Any,
    *,
    bgr: bool = False,
    min_size: tuple[int, int] | None = None,
    levels: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> tuple[RGBImage, tuple[int, int]]:
    """Return what read_image does, decoded at reduced scale perhaps, and the (height, width) that it has in full.

    Raises:
        EdgevitError: as read_image.
    """
    bgr = check_argument(bool, bgr, "bgr")
    limit = pixel_limit() if max_pixels is None else max_pixels
    if isinstance(source, str | os.PathLike):
        name = os.fsdecode(os.fspath(source))
        return decode(read_picture(source, limit), name, min_size, levels, limit)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode(bytes(source), "the image", min_size, levels, limit)
    if isinstance(source, np.ndarray):
        return _whole(_from_array(source, bgr))
    if _is_pillow(source):
        try:
            return _whole(_from_pillow(source, levels, limit))
        except ImageError:
            raise
        # Pillow reads a file only now, which may be cut off, damaged or closed; not each mode has an RGB
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise ImageError(
                f"the Pillow image of mode {source.mode} cannot be read: {error}; give one whose load() and "
                "convert('RGB') succeed"
            ) from error
    # a classifier takes a tuple for several images, and comes upon the bool in it
    if isinstance(source, tuple | bool):
        raise ImageError(
            f"an image cannot be a {type(source).__name__}; if you gave a pair of a bool and a picture, that is what "
            "VideoCapture.read() returns: give its second part"
        )
    raise ImageError(
        f"an image cannot be a {type(source).__name__}; give a path, bytes, a uint8 RGB array or a Pillow image"
    )


def _whole(image: RGBImage) -> tuple[RGBImage, tuple[int, int]]:
    return image, (image.shape[0], image.shape[1])


def read_picture(path: str | os.PathLike[str], max_pixels: int | None = None) -> bytes:
    """Return the content of a picture's file.

    Raises:
        ImageError: it does not exist, cannot be read, is a pipe or a device, or is too large to be a picture.
    """
    name = os.fsdecode(os.fspath(path))
    most = _BYTES_PER_PIXEL * (pixel_limit() if max_pixels is None else max_pixels)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise ImageError(
                    f"{name} has {size / 1e6:.0f} MB, more than the {most / 1e6:.0f} that are read of a picture; make "
                    f"it smaller, or set {MAX_PIXELS_VARIABLE}={size // _BYTES_PER_PIXEL + 1}"
                )
            # a file that grows meanwhile is not followed
            return file.read(most)
    except FileNotFoundError as error:
        raise ImageError(_not_there(name)) from error
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _not_there(name: str) -> str:
    """Return what to say of a path at which nothing is; what is an address may hold a password."""
    if not name:
        return "the path of the picture is empty; give that of an image file"
    if scheme := _ADDRESS.match(name):
        return f"{scheme[1]}://... is an address, not a file; `stream` reads it, as `edgevit run` does"
    return f"{name} does not exist"


def read_picture_header(path: str | os.PathLike[str]) -> Header:
    """Return what a picture's file says about itself; of a JPEG only the beginning is read, so that its end may lack.

    Raises:
        ImageError: it cannot be read, is no picture, or is damaged as far as can be told without decoding it.
    """
    name = os.fsdecode(os.fspath(path))
    try:
        with open_regular(path) as file:
            header = read_header(file.read(_HEAD))
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if header is not None and header.kind == "JPEG" and min(header.height, header.width) > 0:
        return header
    return check_header(read_picture(path), name, pixel_limit())


def _from_pillow(source: Any, levels: tuple[float, float] | None, max_pixels: int) -> RGBImage:
    check_pixels(source.size[1], source.size[0], "the image", max_pixels)
    orientation = source.getexif().get(_EXIF_ORIENTATION)
    if source.mode not in _DEEP_MODES:
        return turned(np.asarray(source.convert("RGB")), orientation)
    pixels = np.asarray(source)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    return turned(to_rgb(to_bytes(pixels, 0, levels, "the image")), orientation)


def _from_array(array: np.ndarray[Any, Any], bgr: bool) -> RGBImage:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is not an image; give uint8 (H, W, 3) in RGB order"
        )
    if channels == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    colors = np.ascontiguousarray(array[:, :, :3])
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB), np.uint8) if bgr else colors


def _is_pillow(source: Any) -> TypeGuard[Any]:
    return all(hasattr(source, name) for name in ("mode", "size", "convert", "getexif"))
