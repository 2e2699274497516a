"""The parts of a folder of pictures, by the names of its folders."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from edgevit.errors import DataError
from edgevit.runtime.datasets.listing import normalized, visible_folders

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
