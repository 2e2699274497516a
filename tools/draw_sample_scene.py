"""Draw the scene of the package, whose objects `edgevit run MODEL sample` counts if the model is a detector."""

import sys
from pathlib import Path

import cv2

from edgevit.export.data.scenes import CLASSES, draw_scene
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.images.resample import RGBImage

SEED = 300_761
"""It draws a scene with two ellipses, a rectangle and a triangle, all of them large, on a calm ground."""
QUALITY = 80


def main(path: str) -> None:
    """Write the picture to a file; its suffix decides the format."""
    picture, truth = draw()
    if not cv2.imwrite(path, picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise SystemExit(f"{path} cannot be written")
    counts = ", ".join(f"{name} {(truth.classes == number).sum()}" for number, name in enumerate(CLASSES))
    print(f"{path}: {counts}, {Path(path).stat().st_size} bytes")


def draw() -> tuple[RGBImage, TrueBoxes]:
    """Return the picture, (H, W, 3), and what is in it: the same for ever."""
    return draw_scene(SEED)


if __name__ == "__main__":
    main(*sys.argv[1:])
