"""Frames without a header, as `--raw 640x480:yuv420` describes them, cut from a stream and turned into RGB."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.images.resample import RGBImage

LONGEST_SIDE = 16384
"""In pixels; a larger frame is a typing error."""


class Format(NamedTuple):
    """How the pixels of a frame lie in memory."""

    shape: Callable[[int, int], tuple[int, ...]]
    """(height, width) in pixels to the shape of its bytes."""
    to_rgb: Callable[[NDArray[np.uint8]], RGBImage]
    """What turns them into (H, W, 3)."""
    even: tuple[int, int] = (1, 1)
    """(height, width) must be multiples of these."""


def _by_opencv(code: int) -> Callable[[NDArray[np.uint8]], RGBImage]:
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _full_range(pixels: NDArray[np.uint8]) -> RGBImage:
    """Return RGB of planes whose levels use all of 0..255, which OpenCV's own conversion of 4:2:0 takes for 16..235.

    The colour samples lie in the middle of their four pixels, as in a JPEG (ITU-T T.871).
    """
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    half = (height // 2, width // 2)
    planes = pixels[height:].reshape(2, *half)
    blue, red = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in planes)
    return np.asarray(cv2.cvtColor(cv2.merge([pixels[:height], red, blue]), cv2.COLOR_YCrCb2RGB), np.uint8)


FORMATS = {
    "rgb24": Format(lambda height, width: (height, width, 3), lambda pixels: pixels),
    "bgr24": Format(lambda height, width: (height, width, 3), _by_opencv(cv2.COLOR_BGR2RGB)),
    "gray": Format(lambda height, width: (height, width), _by_opencv(cv2.COLOR_GRAY2RGB)),
    "yuv420": Format(lambda height, width: (height * 3 // 2, width), _by_opencv(cv2.COLOR_YUV2RGB_I420), (2, 2)),
    "yuvj420": Format(lambda height, width: (height * 3 // 2, width), _full_range, (2, 2)),
    "nv12": Format(lambda height, width: (height * 3 // 2, width), _by_opencv(cv2.COLOR_YUV2RGB_NV12), (2, 2)),
    "yuyv": Format(lambda height, width: (height, width, 2), _by_opencv(cv2.COLOR_YUV2RGB_YUYV), (1, 2)),
}
"""Name to what it means, in FFmpeg's and V4L2's vocabulary: yuvj420 is yuv420 with levels 0..255 instead of 16..235."""

_RAW = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?::(\w+))?", re.ASCII)


@dataclass(frozen=True)
class RawForm:
    """The size and format of raw frames."""

    height: int
    width: int
    format: str = "rgb24"
    """One of FORMATS."""

    @property
    def shape(self) -> tuple[int, ...]:
        return FORMATS[self.format].shape(self.height, self.width)

    @property
    def size(self) -> int:
        """Bytes of one frame."""
        return int(np.prod(self.shape))

    def to_rgb(self, data: bytes | bytearray) -> RGBImage:
        """Turn `size` bytes into an (H, W, 3) image."""
        pixels: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(self.shape)
        return FORMATS[self.format].to_rgb(pixels)


def parse_raw(text: str) -> RawForm:
    """Read "640x480" (width x height, RGB) or "640x480:yuv420".

    Raises:
        OptionError: it is something else, or the format cannot have this size.
    """
    match = _RAW.fullmatch(text)
    width, height, name = (int(match[1]), int(match[2]), match[3] or "rgb24") if match else (0, 0, "")
    if name not in FORMATS or not 0 < width <= LONGEST_SIDE or not 0 < height <= LONGEST_SIDE:
        raise OptionError(
            f"--raw is {text!r}, expected width x height and a format, such as 640x480:rgb24; formats: "
            f"{', '.join(FORMATS)}"
        )
    even = FORMATS[name].even
    if height % even[0] or width % even[1]:
        raise OptionError(f"--raw is {text!r}, but a {name} frame has a width and height that are multiples of two")
    return RawForm(height, width, name)


@dataclass(frozen=True, eq=False)
class RawPicture:
    """One raw frame, not yet turned into RGB."""

    data: bytes | bytearray
    form: RawForm

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same picture, byte for byte."""
        return isinstance(other, RawPicture) and self.form == other.form and self.data == other.data

    __hash__ = None  # type: ignore[assignment]


class RawCutter:
    """Cuts a stream of raw frames; there is nothing to find its way by, so nothing may be missing in it."""

    def __init__(self, form: RawForm) -> None:
        self._form = form
        self._frame: bytearray | None = None
        self._held = 0

    def get_buffer(self) -> memoryview:
        """Return where the next bytes of the stream belong; never empty."""
        if self._frame is None:
            self._frame = bytearray(self._form.size)
        return memoryview(self._frame)[self._held :]

    def buffer_updated(self, count: int) -> RawPicture | None:
        """Take note of what was read into the room; return the frame that is now complete."""
        self._held += count
        if self._frame is None or self._held < len(self._frame):
            return None
        picture = RawPicture(self._frame, self._form)
        self._frame, self._held = None, 0
        return picture
