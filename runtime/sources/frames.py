"""One picture of a source and its moment; and the clocks, which are passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.raw import RawPicture

Picture = Path | bytes | RawPicture | RGBImage
"""A path, the bytes of an image file, a raw frame, or an RGB array (H, W, 3); decoded only if it is classified."""


@dataclass(frozen=True)
class Clock:
    """The two clocks of a stream, in seconds."""

    wall_s: Callable[[], float] = time.time
    """Unix time: a label for people, as somebody may set it."""
    monotonic_s: Callable[[], float] = time.monotonic
    """Never set: all intervals are measured with it."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, and what is known of it before it is looked at."""

    picture: Picture
    moment: Moment
    """Its source; its number, from 0, among all that arrived; and when it arrived."""
    dropped: int | None = None
    """Live sources: how many pictures were replaced by a newer one before they were classified, so far."""
    position_s: float | None = None
    """Videos: its time within the video, in seconds."""
    stored: bool = False
    """Bytes are those of an image file, as on stdin, and no camera's."""

    @property
    def live(self) -> bool:
        return self.dropped is not None

    @property
    def still(self) -> bool:
        """Whether it is an image file, which is prepared with care; the frames of cameras and videos are many."""
        return self.stored or isinstance(self.picture, Path)

    def image(self, min_size: tuple[int, int] | None = None, levels: tuple[float, float] | None = None) -> RGBImage:
        """Decode it to an upright (H, W, 3) image; the arguments are read_image's.

        Raises:
            ImageError: it cannot be decoded.
        """
        if isinstance(self.picture, RawPicture):
            return self.picture.form.to_rgb(self.picture.data)
        if isinstance(self.picture, np.ndarray):
            return self.picture
        return read_image(self.picture, min_size=min_size, levels=levels)
