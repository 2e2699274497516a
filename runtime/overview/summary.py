"""What a folder of pictures holds: its format, pictures, classes and boxes, in numbers."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError, ImageError, OptionError
from edgevit.runtime.datasets.folder import Layout, PictureFolder, Pictures, read_folder
from edgevit.runtime.datasets.marks import upright_size
from edgevit.runtime.datasets.masks import find_masks
from edgevit.runtime.datasets.parts import find_homes
from edgevit.runtime.images.read import read_picture_header
from edgevit.runtime.overview.licences import find_licences
from edgevit.runtime.overview.masks import MaskSummary, summarize_masks
from edgevit.schema import check_argument, named

Task = Literal["classify", "segment", "detect"]
LAYOUTS: dict[Task, Layout] = {"classify": "classes", "segment": "masks", "detect": "boxes"}

LONG_SIDES = (320, 416, 512, 640)
"""Sizes to choose from, in pixels."""
STRIDE = 32
"""Sides of a detector's input are multiples of it."""
NEEDED = 8
"""Pixels of the model's input that a small object should have, the width of the finest cell of our detectors."""
_SAME_FORM = 0.15
_MOST_OF_THEM = 0.8


@dataclass(frozen=True)
class PartSummary:
    """One part of a folder."""

    pictures: int
    empty: int | None
    """Pictures without any object; None where nothing tells of objects."""
    classes: dict[str, int]
    """Class to how many boxes are of it; of folders how many pictures, of masks in how many it occurs."""


@dataclass(frozen=True)
class BoxSizes:
    """Sides of boxes as shares of their picture's; the side of a box is that of a square of its area."""

    median: float
    smallest: float
    """5 % of the boxes are smaller."""
    largest: float
    """5 % of the boxes are larger."""


@dataclass(frozen=True)
class DataSummary:
    """What a folder holds."""

    data: str
    task: Task | None
    """What it can be used for; None where only the pictures are known."""
    format: str
    parts: dict[str, PartSummary]
    """Train, val and test, those that are there; or the whole folder as "all"."""
    box_sizes: BoxSizes | None
    """None without boxes."""
    picture_size: tuple[int, int] | None
    """(height, width) in pixels, upright, that most pictures have; None where none can be read."""
    same_form: float
    """Share of the pictures whose aspect ratio is that of the median picture, give or take 15 %."""
    imgsz: tuple[int, int] | None
    """(height, width) to begin with; None without boxes."""
    smallest_at_imgsz: float | None
    """Side of the smallest boxes (see BoxSizes) at that size, in pixels."""
    licences: tuple[str, ...]
    """What the files say of a licence."""
    notes: tuple[str, ...]
    """What was left out or not taken as it stands, and why."""


@named
def describe_data(data: str | os.PathLike[str], task: Task | None = None) -> DataSummary:
    """Tell what a folder of pictures holds, as training, export and validation will read it.

    Args:
        data: the folder.
        task: what it is for: "classify", "segment" or "detect"; None to see that by what lies in it.

    Raises:
        DataError: it cannot be read so, or a file in it is damaged.
        OptionError: there is no such task.
    """
    folder, known = read_any(check_argument(Path, data, "data"), task)
    return summarize(folder, known)


def read_any(data: Path, task: Task | None = None) -> tuple[PictureFolder, Task | None]:
    """Read a folder for a task, or for that which its files are for; None where they are for none."""
    if task is not None:
        if task not in get_args(Task):
            raise OptionError(f"--task is {task!r}, expected one of {', '.join(get_args(Task))}")
        folder = read_folder(data, LAYOUTS[task])
        if not any(_is_known(pictures) for pictures in folder.parts.values()):
            raise DataError(f"{data} holds pictures, but no {LAYOUTS[task]} that are known here; see docs/data.md")
        return folder, task
    folder = read_folder(data, "boxes")
    if folder.format:
        return folder, "detect"
    if any(map(find_masks, find_homes(data, ("images",)).values())):
        return read_folder(data, "masks"), "segment"
    classes = read_folder(data, "classes")
    return (classes, "classify") if any(map(_is_known, classes.parts.values())) else (folder, None)


def summarize(folder: PictureFolder, task: Task | None) -> DataSummary:
    """Return the numbers of a folder; of every picture the head is read."""
    read = {part: _read_sizes(pictures) for part, pictures in folder.parts.items()}
    sizes = np.concatenate([one for one, _ in read.values()])
    sizes = sizes[(sizes > 0).all(axis=1)]
    sides = np.concatenate([_box_sides(pictures, read[part][0]) for part, pictures in folder.parts.items()])
    imgsz = suggest_size(sizes, sides[:, 1]) if len(sides) else None
    masks = {part: summarize_masks(pictures, read[part][0]) for part, pictures in folder.parts.items()}
    told = [(part, text) for part, (_, text) in read.items() if text]
    told += [(part, text) for part, found in masks.items() for text in found.notes]
    return DataSummary(
        data=str(folder.root),
        task=task,
        format=_format(folder, task),
        parts={part: _summarize_part(pictures, masks[part]) for part, pictures in folder.parts.items()},
        box_sizes=_box_sizes(sides[:, 0]) if len(sides) else None,
        picture_size=_most_frequent(sizes),
        same_form=round(_share_of_form(sizes), 3),
        imgsz=imgsz,
        smallest_at_imgsz=round(float(np.quantile(sides[:, 1], 0.05)) * max(imgsz), 1) if imgsz else None,
        licences=find_licences(folder.root),
        notes=(*folder.notes(), *(f"{folder.parts[part].home}: {text}" for part, text in told)),
    )


def suggest_size(sizes: NDArray[np.int64], sides: NDArray[np.float64]) -> tuple[int, int]:
    """Return (height, width) of a detector's input at which all but the smallest 5 % of the boxes can be seen.

    Args:
        sizes: (n, 2) heights and widths of the pictures; where most are of one form, the input is of it, too.
        sides: sides of the boxes as shares of their picture's longer side.
    """
    smallest = float(np.quantile(sides, 0.05))
    long = next((side for side in LONG_SIDES if smallest * side >= NEEDED), LONG_SIDES[-1])
    if _share_of_form(sizes) < _MOST_OF_THEM:
        return long, long
    aspect = float(np.median(sizes[:, 1] / sizes[:, 0]))
    # a tenth of a step is not worth another
    short = max(1, int(np.ceil(min(aspect, 1 / aspect) * long / STRIDE - 0.1))) * STRIDE
    return (short, long) if aspect > 1 else (long, short)


def _is_known(pictures: Pictures) -> bool:
    return any(known is not None for known in (pictures.classes, pictures.masks, pictures.boxes))


def _format(folder: PictureFolder, task: Task | None) -> str:
    told = {"classify": "a folder for each class", "segment": "images beside masks", "detect": f"{folder.format} boxes"}
    return told[task] if task else "pictures alone"


def _summarize_part(pictures: Pictures, masks: MaskSummary) -> PartSummary:
    count = len(pictures.paths)
    if pictures.boxes is not None:
        numbers = Counter(int(number) for truth in pictures.boxes for number in truth.classes)
        empty = sum(not len(truth.boxes) for truth in pictures.boxes)
        return PartSummary(count, empty, {name: numbers[i] for i, name in enumerate(pictures.box_names)})
    if pictures.masks is not None:
        return PartSummary(count, None, masks.classes)
    classes = Counter(pictures.classes or ())
    return PartSummary(count, None, {name: classes[name] for name in pictures.class_names()})


def _box_sizes(sides: NDArray[np.float64]) -> BoxSizes:
    return BoxSizes(*(round(float(np.quantile(sides, share)), 4) for share in (0.5, 0.05, 0.95)))


def _read_sizes(pictures: Pictures) -> tuple[NDArray[np.int64], str]:
    """Return (n, 2) upright heights and widths, 0 for what cannot be read, and what is told of those."""
    sizes, faults = [], list[str]()
    for path in pictures.paths:
        try:
            sizes.append(upright_size(read_picture_header(path)))
        except ImageError as error:
            sizes.append((0, 0))
            faults.append(str(error))
    told = f"{len(faults)} pictures cannot be read; the first: {faults[0]}" if faults else ""
    return np.array(sizes, np.int64).reshape(-1, 2), told


def _box_sides(pictures: Pictures, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, 2) sides of boxes, as shares of a square of the picture's area, and of the picture's longer side."""
    found = [np.zeros((0, 2))]
    for truth, (height, width) in zip(pictures.boxes or (), sizes, strict=False):
        extents = np.asarray(truth.boxes[:, 2:] - truth.boxes[:, :2], np.float64)
        side = np.sqrt(extents.prod(axis=1))
        found.append(np.stack((side / np.sqrt(height * width), side / max(height, width)), axis=1))
    return np.concatenate(found)


def _share_of_form(sizes: NDArray[np.int64]) -> float:
    if not len(sizes):
        return 0.0
    aspects = sizes[:, 1] / sizes[:, 0]
    return float((np.abs(aspects / np.median(aspects) - 1) <= _SAME_FORM).mean())


def _most_frequent(sizes: NDArray[np.int64]) -> tuple[int, int] | None:
    common: Sequence[tuple[tuple[int, int], int]] = Counter((int(h), int(w)) for h, w in sizes).most_common(1)
    return common[0][0] if common else None
