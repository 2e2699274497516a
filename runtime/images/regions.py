"""Which part of a picture, and which way up: --rotate, --roi and --tiles, as pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgevit.errors import ImageError, OptionError
from edgevit.runtime.images.named import check_named, check_names, check_unit, in_shares, parse_named, shown
from edgevit.runtime.images.resample import RGBImage
from edgevit.schema import is_whole

TURNS: dict[int, Callable[[RGBImage], RGBImage]] = {
    0: lambda image: image,
    90: lambda image: np.ascontiguousarray(np.rot90(image, -1)),
    180: lambda image: np.ascontiguousarray(image[::-1, ::-1]),
    270: lambda image: np.ascontiguousarray(np.rot90(image, 1)),
}
"""Degrees clockwise to what turns an (H, W, 3) image."""


LEAST = 2
"""Pixels that a region has each way, at least: 1 is meant as a share."""


@dataclass(frozen=True)
class Region:
    """A named rectangle of a picture."""

    name: str
    x: float
    y: float
    width: float
    height: float
    """In whole pixels from the upper left corner, or in shares of the picture if all four are at most 1."""

    def __post_init__(self) -> None:
        values = (self.x, self.y, self.width, self.height)
        check_named("roi", self.name, *values)
        if min(self.x, self.y) < 0 or min(self.width, self.height) <= 0:
            raise OptionError(f"--roi {self.name} is {shown(values)}, expected x,y,w,h from 0, w and h above 0")
        check_unit("roi", self.name, *values)
        if not self.in_shares and min(self.width, self.height) < LEAST:
            raise OptionError(
                f"--roi {self.name} is {shown(values)}; shares of the picture go from 0 to 1, and w and h in pixels "
                f"from {LEAST}"
            )
        if self.in_shares and (self.x + self.width > 1 + 1e-9 or self.y + self.height > 1 + 1e-9):
            raise OptionError(f"--roi {self.name} is {shown(values)}, which reaches beyond the picture; x+w, y+h <= 1")

    @property
    def in_shares(self) -> bool:
        return in_shares(self.x, self.y, self.width, self.height)


def cut(image: RGBImage, region: Region) -> RGBImage:
    """Return the region of an (H, W, 3) image, as a view of at least one pixel.

    Raises:
        ImageError: it lies outside the image, or reaches beyond it.
    """
    left, top, right, bottom = bounds(region, image.shape[:2])
    return image[top:bottom, left:right]


def bounds(region: Region, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of a region in a picture of (height, width), at least one pixel each way.

    Raises:
        ImageError: it lies outside the picture, or reaches beyond it.
    """
    height, width = size
    scale_x, scale_y = (width, height) if region.in_shares else (1, 1)
    left, top = round(region.x * scale_x), round(region.y * scale_y)
    right, bottom = round((region.x + region.width) * scale_x), round((region.y + region.height) * scale_y)
    if right > width or bottom > height:
        raise ImageError(
            f"region {region.name} reaches to {right}x{bottom}, but the picture is {width}x{height} pixels; "
            "give shares of the picture, such as 0.1,0.2,0.5,0.5, to fit any size"
        )
    left, top = min(left, width - 1), min(top, height - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def parse_region(text: str) -> Region:
    """Read "gate=0.1,0.2,0.5,0.5" or "gate=100,50,320,240".

    Raises:
        OptionError: it is something else.
    """
    name, values = parse_named(text, "--roi", "name=x,y,w,h", "gate=0.1,0.2,0.5,0.5")
    return Region(name, *values)


def parse_grid(text: str) -> tuple[int, int]:
    """Read "3x2" (columns x rows).

    Raises:
        OptionError: it is something else, or more than 100 tiles.
    """
    columns, _, rows = text.partition("x")
    valid = is_whole(columns) and is_whole(rows)
    across, down = (int(columns), int(rows)) if valid else (0, 0)
    if not 0 < across * down <= 100:
        raise OptionError(f"--tiles is {text!r}, expected columns x rows such as 3x2, at most 100 tiles")
    return across, down


def tile_regions(across: int, down: int) -> tuple[Region, ...]:
    """Return regions r1c1, r1c2, r1c3, r2c1... that cover the picture."""
    places = [(row, column) for row in range(down) for column in range(across)]
    return tuple(
        Region(f"r{row + 1}c{column + 1}", column / across, row / down, 1 / across, 1 / down) for row, column in places
    )


def check_regions(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Return them; OptionError if two have the same name."""
    check_names([region.name for region in regions], "regions", "--roi")
    return tuple(regions)


def check_region(rule: str, name: str, regions: Sequence[str]) -> None:
    """Raise OptionError if the region that a rule, such as "--count hen>=10@coop", speaks of is none of these."""
    if name not in regions:
        known = f"it has {', '.join(regions)}" if regions else f"name it with --roi {name}=X,Y,W,H"
        raise OptionError(f"{rule}: the picture has no region {name!r}; {known}")
