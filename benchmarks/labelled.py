"""The pictures of a folder of classes, as the benchmarks judge by them."""

import functools
from collections.abc import Sequence
from pathlib import Path

import click

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, read_pictures
from edgevit.runtime.datasets.listing import normalized
from edgevit.text import printable


def labelled(images: Path, names: Sequence[str], limit: int = 0) -> tuple[list[Path], list[int]]:
    """Return the pictures of each class, and the place in `names` of the class of each.

    Args:
        images: a folder with a sub-folder for each class.
        names: the classes, in the model's order.
        limit: how many pictures of each class are taken; 0: all.

    Raises:
        DataError: there are no class folders, one is no class, or a class has no pictures.
    """
    pictures = read_pictures(images, "classes")
    for note in PictureFolder(images, {"all": pictures}).notes():
        _tell(note)
    if strange := sorted({*pictures.class_names()} - {*map(normalized, names)}):
        raise DataError(f"{images / strange[0]} is no class of the model; rename it, or remove it")
    shown = list(zip(pictures.paths, pictures.classes or (), strict=False))
    paths: list[Path] = []
    places: list[int] = []
    for place, name in enumerate(names):
        files = [path for path, found in shown if found == normalized(name)][: limit or None]
        if not files:
            raise DataError(f"{images} has no pictures of {name!r}; give a folder for each class of the model")
        paths += files
        places += [place] * len(files)
    return paths, places


def evenly(count: int, limit: int) -> list[int]:
    """Return at most `limit` of so many places, evenly spread."""
    kept = min(count, limit)
    return [place * count // kept for place in range(kept)]


@functools.cache
def _tell(note: str) -> None:
    """Print a note, once however often the folder is read."""
    click.echo(printable(note), err=True)
