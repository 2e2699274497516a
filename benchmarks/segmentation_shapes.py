"""Draw a data set of textured shapes with masks, to show that training, export and validation of segmentation work.

python benchmarks/segmentation_shapes.py DIR [--train 400 --val 100]

docs/segmentation.md has the commands that learn from it, and what they reach.

Soil is brown noise; crop, green stripes in discs; weed, dark green checks in stars; stone, grey grain in polygons;
water, smooth blue in wide ellipses. Colours vary from picture to picture, and overlap between crop and weed.
"""

from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.images.mask_png import mask_png
from edgevit.system.program import Program

SIDE = 128
PALETTE = ((120, 80, 40), (60, 200, 60), (0, 100, 0), (150, 150, 150), (40, 90, 220))
CLASSES = ("soil", "crop", "weed", "stone", "water")
Plane = NDArray[np.float64]
Texture = Callable[[np.random.Generator, Plane, Plane], Plane]


def flat(
    y: NDArray[np.float64], amount: NDArray[np.float64] | float, color: tuple[int, int, int]
) -> NDArray[np.float64]:
    return np.asarray(np.array(color, float) * (1 + np.broadcast_to(amount, y.shape)[:, :, None]))


TEXTURES: tuple[Texture, ...] = (
    lambda random, y, x: flat(y, 0.25 * random.standard_normal(y.shape), (120, 85, 50)),
    lambda random, y, x: flat(y, 0.35 * np.sin(x * random.uniform(0.9, 1.4)), (80, 165, 70)),
    lambda random, y, x: flat(y, 0.35 * np.sign(np.sin(x) * np.sin(y)), (60, 130, 60)),
    lambda random, y, x: flat(y, 0.12 * random.standard_normal(y.shape), (140, 138, 132)),
    lambda random, y, x: flat(y, 0.08 * np.sin(y / random.uniform(5, 9)), (70, 105, 160)),
)


def outline(kind: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Return a polygon's corners (N, 2) as x, y."""
    corners = {1: 24, 2: 12, 3: 6, 4: 24}[kind]
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + random.uniform(0, 6)
    radius = np.full(corners, random.uniform(22, 40))
    if kind == 2:
        radius[::2] *= 0.6
    if kind == 3:
        radius *= random.uniform(0.7, 1.2, corners)
    stretch = (1.8, 0.8) if kind == 4 else (1, 1)
    points = np.stack([np.cos(angles) * stretch[0], np.sin(angles) * stretch[1]], axis=1) * radius[:, None]
    return np.asarray(points + random.uniform(0, SIDE, 2)).astype(np.int32)


def draw(random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a picture (SIDE, SIDE, 3) and its mask."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(random.integers(3, 6)):
        kind = int(random.integers(1, 5))
        cv2.fillPoly(mask, [outline(kind, random)], kind)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    picture = np.zeros((SIDE, SIDE, 3))
    for kind, texture in enumerate(TEXTURES):
        tint = random.uniform(0.85, 1.15, 3)
        picture = np.where((mask == kind)[:, :, None], texture(random, y, x) * tint, picture)
    picture += 6 * random.standard_normal(picture.shape)
    return cv2.GaussianBlur(picture.clip(0, 255).astype(np.uint8), (3, 3), 0), mask  # type: ignore[return-value]


def write(folder: Path, count: int, seed: int) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        picture, mask = draw(random)
        cv2.imwrite(str(folder / "images" / f"{number:04d}.jpg"), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        (folder / "masks" / f"{number:04d}.png").write_bytes(mask_png(mask, PALETTE))


@click.command(cls=Program, help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--train", default=400, show_default=True)
@click.option("--val", default=100, show_default=True)
def main(folder: Path, train: int, val: int) -> None:
    write(folder / "train", train, 1)
    write(folder / "val", val, 2)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")


if __name__ == "__main__":
    main()
