"""A folder to the images that models are judged on, and the class of each where sub-folders say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevit.errors import DataError, OptionError
from edgevit.runtime.images.read import SUFFIXES

HELD_OUT = ("val", "test")
"""Sub-folders that are used instead of the folder itself, the first that is there."""


@dataclass(frozen=True)
class ImageFiles:
    """Images that are still to be read."""

    folder: Path
    """The one that was searched: what was asked for, or its `val` or `test`."""
    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    """Index of each image's class; None where the classes are not known."""
    loose: int = 0
    """Images left out because they lie beside the class folders, so that their class is not known."""


def find_images(
    data: Path, names: Sequence[str], *, unlabelled: bool = False, limit: int | None = None, seed: int = 0
) -> ImageFiles:
    """List the images of `data`, at any depth; sub-folders are classes, named as the model names them.

    A folder without sub-folders that hold images is unlabelled. Where `data/val` or `data/test` exists, that is used.

    Args:
        data: the folder.
        names: the model's labels.
        unlabelled: whether sub-folders mean nothing.
        limit: how many images to draw at random; None for all.
        seed: decides which are drawn.

    Raises:
        DataError: not a folder, no images, or a sub-folder is no class of the model.
        OptionError: the limit is not a positive number.
    """
    if limit is not None and limit < 1:
        raise OptionError(f"a limit of {limit} images is not possible; give 1 or more")
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give one that holds images, at best one sub-folder for each class")
    held_out = (data / name for name in HELD_OUT if name not in names)
    folder = next((path for path in held_out if path.is_dir()), data)
    paths = _images(folder)
    if not paths:
        raise DataError(f"no image in folder {folder} (looked for {' '.join(SUFFIXES)})")
    inside = [path for path in paths if path.parent != folder]
    if unlabelled or not inside:
        chosen = _draw(len(paths), limit, seed)
        return ImageFiles(folder, tuple(paths[i] for i in chosen), None)
    labels = _labels(folder, inside, names)
    chosen = _draw(len(inside), limit, seed)
    return ImageFiles(
        folder, tuple(inside[i] for i in chosen), tuple(labels[i] for i in chosen), len(paths) - len(inside)
    )


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder and below it, sorted; nothing that is hidden."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _labels(folder: Path, paths: Sequence[Path], names: Sequence[str]) -> list[int]:
    """Return the index of each path's class, which is the first part of its path in `folder`."""
    depth = len(folder.parts)
    index = {name: i for i, name in enumerate(names)}
    folders = sorted({path.parts[depth] for path in paths})
    strange = [name for name in folders if name not in index]
    if strange:
        raise DataError(
            f"{folder}: {_first(strange)} ({len(strange)} of {len(folders)} folders) is no class of the model, whose "
            f"labels are {_first(names)}; rename or remove the folder, or pass --unlabelled to compare answers only"
        )
    return [index[path.parts[depth]] for path in paths]


def _draw(count: int, limit: int | None, seed: int) -> list[int]:
    """Return which of `count` images are used, in their order."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(int(i) for i in np.random.default_rng(seed).permutation(count)[:limit])


def _first(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
