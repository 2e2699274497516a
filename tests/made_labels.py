"""Made folders of labelled pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgevit.runtime.datasets.folder import Pictures

SIZE = (60, 80)
"""Height and width of the made pictures, in pixels."""


def make_pictures(folder: Path, *names: str, size: tuple[int, int] = SIZE, orientation: int = 1) -> None:
    """Write grey pictures of a (height, width) as stored, and an Exif orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(size, 128, np.uint8)).save(folder / name, exif=exif)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def found(pictures: Pictures) -> dict[str, list[tuple[str, list[float]]]]:
    """Return the class and the rounded sides of each box, by the picture's name."""
    assert pictures.boxes is not None
    return {
        name: [
            (pictures.box_names[number], [round(float(side), 3) for side in box])
            for number, box in zip(truth.classes, truth.boxes, strict=True)
        ]
        for name, truth in zip(pictures.names, pictures.boxes, strict=True)
    }


def voc(*objects: tuple[str, Sequence[float | str]], size: tuple[int, int] = SIZE) -> str:
    """Return Pascal VOC's document for a picture of that (height, width)."""
    boxes = "".join(
        f"<object><name>{name}</name><difficult>1</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, (left, top, right, bottom) in objects
    )
    height, width = size
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{boxes}</annotation>"


def coco(
    images: Mapping[str, int],
    categories: Mapping[str, int],
    *annotations: Mapping[str, Any],
    size: tuple[int, int] = SIZE,
) -> str:
    """Return COCO's document of pictures of that (height, width), and of categories, by their ids."""
    height, width = size
    return json.dumps(
        {
            "images": [
                {"id": number, "file_name": name, "height": height, "width": width} for name, number in images.items()
            ],
            "categories": [
                {"id": number, "name": name, "supercategory": "animal"} for name, number in categories.items()
            ],
            "annotations": annotations,
        }
    )
