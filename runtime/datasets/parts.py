"""The parts of a folder of pictures, by the names of its folders."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from edgevit.errors import DataError
from edgevit.runtime.datasets.listing import LeftOut, count_loose, normalized, visible_folders, with_slashes

Part = Literal["train", "val", "test", "all"]
PARTS: dict[Part, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Names of the folders that hold a part."""


def find_parts(folder: Path, taken: Iterable[str] = ()) -> dict[Part, Path]:
    """Return the parts among the folders of a folder; `taken` are names that mean something else, such as classes.

    Raises:
        DataError: the folder cannot be read, or has two folders of one part.
    """
    parts: dict[Part, Path] = {}
    there = set(visible_folders(folder)) - {normalized(name) for name in taken}
    for part, spellings in PARTS.items():
        found = [folder / name for name in spellings if name in there]
        if len(found) > 1:
            spelled = " and ".join(path.name for path in found)
            raise DataError(f"{folder} holds {spelled}, two names of one part; put all images into one of them")
        if found:
            parts[part] = found[0]
    return parts


def find_homes(folder: Path, apart: Iterable[str] = (), taken: Iterable[str] = ()) -> dict[Part, Path]:
    """Return the folder of each part, or the whole as "all".

    Args:
        folder: holds the parts.
        apart: names of folders of pictures that may hold the parts in its place, as images/ does in images/train.
        taken: as find_parts has it.

    Raises:
        DataError: as find_parts raises it.
    """
    places = [place for name in apart if (place := folder / name).is_dir()]
    found = (find_parts(place, taken) for place in (*places, folder))
    return next((parts for parts in found if parts), {"all": folder})


def find_namesakes(folder: Path) -> tuple[str, ...]:
    """Return the folders that are called as a part is, in any case of letters."""
    spellings = {name for names in PARTS.values() for name in names}
    return tuple(name for name in visible_folders(folder) if name.casefold() in spellings)


def find_strays(root: Path, homes: Collection[Path], known: Collection[str] = ()) -> LeftOut:
    """Return what lies beside the parts of a folder and is in none of them: folders, and pictures.

    Args:
        root: the folder.
        homes: of the parts.
        known: names of folders that belong to them.
    """
    left_out = LeftOut()
    for place in dict.fromkeys(home.parent for home in homes):
        above = {place, *place.parents}
        if root not in above or above & set(homes):
            continue
        namesakes = set(find_namesakes(place))
        for name in visible_folders(place):
            folder = place / name
            if name not in known and not any(folder in (home, *home.parents) for home in homes):
                why = " (parts have small letters)" if name in namesakes - {name.casefold()} else ""
                left_out.folders[f"{with_slashes(str(folder.relative_to(root)))}{why}"] += 1
        if loose := count_loose(place):
            left_out.files["pictures beside the parts"] += loose
    return left_out


def find_doubles(paths: Mapping[Part, Sequence[Path]]) -> dict[Part, dict[int, Part]]:
    """Return for each part the places of pictures that are in another one, too, and which: val before test and train.

    So what models are judged by stays held out. Parts without such pictures are not named.
    """
    first: dict[object, Part] = {}
    doubles: dict[Part, dict[int, Part]] = {}
    for part in (part for part in ("val", "test", "train") if part in paths and len(paths) > 1):
        for i, path in enumerate(paths[part]):
            if (other := first.setdefault(identify(path), part)) != part:
                doubles.setdefault(part, {})[i] = other
    return doubles


def identify(path: Path) -> object:
    """Return what is equal for two paths to one file, by links of any kind."""
    try:
        found = path.stat()
    except OSError:  # told when it is read
        return str(path)
    # some network drives number nothing on Windows
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)
