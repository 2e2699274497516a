"""The pictures of a folder of classes, as the benchmarks judge by them."""

from collections.abc import Sequence
from pathlib import Path

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import read_pictures


def labelled(images: Path, names: Sequence[str], limit: int = 0) -> tuple[list[Path], list[int]]:
    """Return the pictures of each class, and the place in `names` of the class of each.

    Args:
        images: a folder with a sub-folder for each class.
        names: the classes, in the model's order.
        limit: how many pictures of each class are taken; 0: all.

    Raises:
        DataError: there are no class folders, or a class has no pictures.
    """
    pictures = read_pictures(images, "classes")
    shown = list(zip(pictures.paths, pictures.classes or (), strict=True))
    paths: list[Path] = []
    places: list[int] = []
    for place, name in enumerate(names):
        files = [path for path, found in shown if found == name][: limit or None]
        if not files:
            raise DataError(f"{images} has no pictures of {name!r}; give a folder for each class of the model")
        paths += files
        places += [place] * len(files)
    return paths, places
