"""What a user has (a path, bytes, an array, a Pillow image) to an RGB array."""

import os
from collections.abc import Callable
from typing import Any, TypeGuard

import cv2
import numpy as np

from edgevit.errors import ImageError
from edgevit.runtime.images.jpeg import jpeg_facts
from edgevit.runtime.images.png import png_is_sound
from edgevit.runtime.images.resample import RGBImage

MARGIN = 2
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
_EXIF_ORIENTATION = 0x0112


def read_image(source: Any, *, bgr: bool = False, min_size: tuple[int, int] | None = None) -> RGBImage:
    """Return an upright (H, W, 3) image.

    Args:
        source: a path, the bytes of an image file, a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a
            Pillow image. An alpha channel is dropped.
        bgr: an array's channels are blue, green, red, as OpenCV's are.
        min_size: (height, width) that will be made of it; a JPEG much larger than that is decoded at reduced scale.

    Raises:
        ImageError: it does not exist, cannot be decoded, ends too early, or is of another kind.
    """
    if isinstance(source, str | os.PathLike):
        return _decode(_read_file(os.fspath(source)), os.fspath(source), min_size)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), "the image", min_size)
    if isinstance(source, np.ndarray):
        return _from_array(source, bgr)
    if _is_pillow(source):
        upright = _TURNED.get(source.getexif().get(_EXIF_ORIENTATION), _TURNED[1])
        return np.ascontiguousarray(upright(np.asarray(source.convert("RGB"))))
    raise ImageError(
        f"an image cannot be a {type(source).__name__}; give a path, bytes, a uint8 RGB array or a Pillow image"
    )


def _read_file(path: str | bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{os.fsdecode(path)} does not exist") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{os.fsdecode(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _decode(data: bytes, name: str | bytes, min_size: tuple[int, int] | None) -> RGBImage:
    name = os.fsdecode(name)
    flag = cv2.IMREAD_COLOR
    if png_is_sound(data) is False:
        raise ImageError(f"{name} is a damaged or truncated PNG; copy or record it again")
    if (facts := jpeg_facts(data)) is not None:
        if not facts.complete:
            raise ImageError(f"{name} is a truncated JPEG; copy or record it again")
        # which side is which depends on the orientation, so both must do for both
        short, needed = min(facts.height, facts.width), MARGIN * max(min_size) if min_size else 0
        flag = next((flag for factor, flag in _REDUCED.items() if needed and short // factor >= needed), flag)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error as error:
        raise ImageError(f"{name} cannot be decoded: {error.err or error}") from error
    if image is None:
        what = "is empty" if not data else "is not an image, is damaged, or is of a kind that OpenCV cannot decode"
        raise ImageError(f"{name} {what}")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)


def _from_array(array: np.ndarray[Any, Any], bgr: bool) -> RGBImage:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is not an image; give uint8 (H, W, 3) in RGB order"
        )
    if channels == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    colors = array[:, :, :3]
    return np.ascontiguousarray(colors[:, :, ::-1] if bgr else colors)


def _is_pillow(source: Any) -> TypeGuard[Any]:
    return all(hasattr(source, name) for name in ("mode", "size", "convert", "getexif"))
