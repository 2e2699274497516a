"""Drawn pictures to calibrate with where weights are random: they decide on nothing that time depends on."""

from pathlib import Path

import cv2

from edgevit.runtime.images.drawn import draw_picture


def draw_folder(folder: Path, size: tuple[int, int], count: int, suffix: str = ".png") -> Path:
    """Write `count` pictures of (height, width) into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}{suffix}"), draw_picture(size, seed=number)[..., ::-1])
    return folder
