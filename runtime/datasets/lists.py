"""Lists of pictures' names that divide a folder into parts: text files, a name or a path a line."""

import re
from collections.abc import Mapping
from pathlib import Path

from edgevit.errors import DataError
from edgevit.runtime.datasets.listing import SUFFIXES, normalized
from edgevit.runtime.datasets.marks import MarkedPart
from edgevit.runtime.datasets.parts import PARTS, Part
from edgevit.runtime.datasets.yolo import read_text


def read_lists(folder: Path) -> dict[Part, frozenset[str]]:
    """Return the names, without folder and suffix, that the list of each part has; nothing where there are none.

    Raises:
        DataError: a list cannot be read.
    """
    lists: dict[Part, frozenset[str]] = {}
    for part, spellings in PARTS.items():
        # Pascal VOC has train and val together where one of them is not given apart
        names = (*spellings, "trainval") if part == "train" else spellings
        path = next((path for name in names if (path := folder / f"{name}.txt").is_file()), None)
        lines = read_text(path).splitlines() if path is not None else []
        if listed := frozenset(_stem(line) for line in lines if line.strip()):
            lists[part] = listed
    return lists


def divide(whole: MarkedPart, lists: Mapping[Part, frozenset[str]], where: Path) -> dict[Part, MarkedPart]:
    """Return the parts that lists make of a folder; what was left out is told of the first.

    Raises:
        DataError: no picture is in a list.
    """
    names = [normalized(path.stem) for path in whole.paths]
    parts: dict[Part, MarkedPart] = {}
    for part, listed in lists.items():
        chosen = [i for i, name in enumerate(names) if name in listed]
        if chosen:
            parts[part] = whole.subset(chosen) if not parts else whole.subset(chosen).without_facts()
    if not parts:
        raise DataError(f"the lists in {where} name none of the {len(names)} pictures there; mend or remove them")
    every = frozenset[str]().union(*lists.values())
    first = next(iter(parts.values()))
    first.left_out.files[f"in no list in {where.name}"] += sum(name not in every for name in names)
    first.left_out.files[f"in a list in {where.name}, but not there"] += len(every - set(names))
    return parts


def _stem(line: str) -> str:
    """Return the name of a picture without folder and suffix; Pascal VOC's lists of a class have 1 or -1 behind it."""
    name = re.sub(r"\s+-?[01]$", "", line.strip()).replace("\\", "/").rpartition("/")[2]
    return normalized(name.removesuffix(next((end for end in SUFFIXES if name.lower().endswith(end)), "")))
