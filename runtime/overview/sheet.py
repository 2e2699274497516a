"""A contact sheet: some pictures of a folder with what is known of them drawn in, to see whether it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgevit.errors import DataError, ImageError, OptionError, OutputError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures
from edgevit.runtime.datasets.marks import upright_size
from edgevit.runtime.detection.drawing import draw_boxes
from edgevit.runtime.images.draw import annotate
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.images.palette import spread_palette
from edgevit.runtime.images.read import read_image, read_picture_header
from edgevit.runtime.images.resample import RGBImage
from edgevit.system.files import replacing

SUFFIXES = (".jpg", ".jpeg", ".png")
MOST = 40
"""Pictures of a sheet."""
COLUMNS = 5
CELL = 320
"""Side of a picture's place, in pixels."""
GAP = 4


@dataclass(frozen=True, eq=False)
class _Place:
    """A picture of a part."""

    pictures: Pictures
    index: int


def check_sheet_path(path: Path) -> None:
    """Raise OptionError unless a sheet can be written to a file of that name."""
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"--sheet is {path}, expected the name of a picture: {' '.join(SUFFIXES)}")


def write_sheet(folder: PictureFolder, path: Path, seed: int = 0) -> None:
    """Draw the sheet and write it.

    Raises:
        OptionError: the file's name is no picture's.
        DataError: no picture can be read.
        OutputError: it cannot be written.
    """
    check_sheet_path(path)
    pixels = cv2.cvtColor(draw_sheet(folder, seed), cv2.COLOR_RGB2BGR)
    try:
        with replacing(path) as part:
            part.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def draw_sheet(folder: PictureFolder, seed: int = 0) -> RGBImage:
    """Return the sheet (H, W, 3): up to 40 pictures of all parts, drawn at random, with some of each class.

    Raises:
        DataError: no picture can be read.
    """
    cells = []
    for place in _choose(folder, seed):
        try:
            cells.append(_cell(place))
        except ImageError:
            continue
    if not cells:
        raise DataError(f"none of the pictures of {folder.root} that were drawn for the sheet can be read")
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    step = CELL + GAP
    sheet = np.full((rows * step + GAP, columns * step + GAP, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        top, left = GAP + number // columns * step, GAP + number % columns * step
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet


def _choose(folder: PictureFolder, seed: int) -> Sequence[_Place]:
    """Return pictures: first one of each class, the rarest first, then any."""
    every = [_Place(part, i) for part in folder.parts.values() for i in range(len(part.paths))]
    shuffled = [every[i] for i in np.random.default_rng(seed).permutation(len(every))]
    by_class: dict[str, list[_Place]] = {}
    for place in shuffled:
        for name in _classes(place):
            by_class.setdefault(name, []).append(place)
    first = [places[0] for _, places in sorted(by_class.items(), key=lambda item: len(item[1]))]
    return list(dict.fromkeys((*first, *shuffled)))[:MOST]


def _classes(place: _Place) -> set[str]:
    pictures = place.pictures
    if pictures.boxes is not None:
        return {pictures.box_names[number] for number in pictures.boxes[place.index].classes}
    return {pictures.classes[place.index]} if pictures.classes is not None else set()


def _cell(place: _Place) -> RGBImage:
    """Return a picture, no side longer than a place, and what is known of it."""
    pictures, path = place.pictures, place.pictures.paths[place.index]
    height, width = upright_size(read_picture_header(path))
    scale = CELL / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    image = np.asarray(cv2.resize(read_image(path, min_size=size), size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if pictures.boxes is not None:
        truth = pictures.boxes[place.index]
        texts = [
            f"{pictures.box_names[number]}{' (crowd)' if crowd else ''}"
            for number, crowd in zip(truth.classes, truth.crowd, strict=True)
        ]
        palette = spread_palette(len(pictures.box_names))
        colours = [palette[number] for number in truth.classes]
        return draw_boxes(image, np.asarray(truth.boxes * scale, np.float32), colours, texts)
    if pictures.masks is not None:
        mask = read_mask(pictures.masks[place.index])
        near = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)
        coloured = np.array(spread_palette(256), np.uint8)[np.minimum(near, 255)]
        return np.asarray(cv2.addWeighted(image, 0.5, coloured, 0.5, 0), np.uint8)
    return annotate(image, pictures.classes[place.index]) if pictures.classes is not None else image
