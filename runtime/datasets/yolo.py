"""YOLO's label files, a text file for each picture, and the names of its classes."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.runtime.datasets.marks import SHARES, Mark, Marked, Tally
from edgevit.runtime.datasets.yaml_lists import Value, read_yaml
from edgevit.schema import is_whole, read_json
from edgevit.text import decode_text

NAMES_FILES = ("classes.txt", "obj.names", "notes.json")
"""Files that name the classes, where no *.yaml does: LabelImg's and Label Studio's, darknet's and CVAT's."""
YAML = (".yaml", ".yml")

_MOST = 10.0
"""Shares of the picture that are read; more is in pixels."""


def read_marks(path: Path, names: Sequence[str], tally: Tally) -> Marked:
    """Read the label file of a picture: `class x y width height` a line, shares of the picture around the centre.

    A sixth number is how sure somebody's model was, and is not used; more numbers are the points of a polygon, for
    which the box around them is taken. An empty file says that nothing is there.

    Raises:
        DataError: it cannot be read, a line is of another form, or has a class that has no name.
    """
    return parse_marks(read_text(path), str(path), names, tally)


def parse_marks(text: str, where: str, names: Sequence[str], tally: Tally) -> Marked:
    """Return the marks in a label file's text; see read_marks."""
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    return Marked(where, [_mark(line, f"{where}, line {n}", names, tally) for n, line in lines if line], SHARES)


def names_files(folders: Iterable[Path]) -> list[Path]:
    """Return the files in folders that name classes, one of each folder at most."""
    found: list[Path] = []
    for folder in folders:
        named = (path for path in yaml_files(folder) if "names" in read_yaml(read_text(path), str(path)))
        others = (path for name in NAMES_FILES if (path := folder / name).is_file())
        found += [*named, *others][:1]
    return found


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of the classes that a file tells.

    Raises:
        DataError: it cannot be read, or does not name classes.
    """
    if path.suffix in YAML:
        return _checked(_names_of_yaml(read_yaml(read_text(path), str(path)), path), path)
    if path.suffix == ".json":
        return _checked(_names_of_notes(read_text(path), path), path)
    return _checked([line.strip() for line in read_text(path).rstrip().splitlines()], path)


def yaml_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may say what data.yaml says, that one first."""
    found = (path for path in folder.glob("[!.]*.y*ml") if path.suffix in YAML and path.is_file())
    return sorted(found, key=lambda path: (path.stem != "data", path.name))


def read_text(path: Path) -> str:
    """Return the text of a small file.

    Raises:
        DataError: it cannot be read, or is no UTF-8.
    """
    try:
        return decode_text(read_regular(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is {error}") from error


def _mark(words: Sequence[str], where: str, names: Sequence[str], tally: Tally) -> Mark:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)) or not numbers[0].is_integer():
        raise DataError(f"{where} is {' '.join(words)[:60]!r}, expected the number of a class and four shares")
    index, shares = int(numbers[0]), numbers[1:]
    if not 0 <= index < len(names):
        raise DataError(f"{where} has class {numbers[0]:g}, but only {len(names)} are named (0 to {len(names) - 1})")
    if any(abs(share) > _MOST for share in shares):
        raise DataError(f"{where} has {max(shares, key=abs):g}, expected shares of the picture from 0 to 1, no pixels")
    if len(shares) == 5:
        tally.remark("boxes with a sixth number, which is not used", where)
    elif len(shares) >= 6 and len(shares) % 2 == 0:
        tally.remark("polygons taken as the box around them", where)
        x, y = shares[::2], shares[1::2]
        return Mark(names[index], (min(x), min(y), max(x), max(y)))
    elif len(shares) != 4:
        raise DataError(f"{where} has {len(words)} numbers, expected 5 (class, centre, size), or a class and points")
    x_centre, y_centre, width, height = shares[:4]
    return Mark(
        names[index],
        (x_centre - width / 2, y_centre - height / 2, x_centre + width / 2, y_centre + height / 2),
    )


def _names_of_yaml(found: dict[str, Value], path: Path) -> list[str]:
    names = found["names"]
    if isinstance(names, dict):
        numbered = {int(key): name for key, name in names.items() if is_whole(key)}
        if sorted(numbered) != list(range(len(names))):
            raise DataError(f"{path}: the names have other keys than the numbers 0 to {len(names) - 1}")
        names = [numbered[index] for index in range(len(names))]
    if not isinstance(names, list):
        raise DataError(f"{path}: names is no list that ends; write a name a line below names:, each behind a -")
    count = found.get("nc")
    if isinstance(count, str) and count != str(len(names)):
        raise DataError(f"{path}: nc is {count[:20]}, but there are {len(names)} names; mend the one that is wrong")
    return names


def _names_of_notes(text: str, path: Path) -> list[str]:
    try:
        found = read_json(text)
    except ValueError as error:
        raise DataError(f"{path} is no JSON that can be read: {error}") from error
    try:
        categories = found["categories"]
        return [str(one["name"]) for one in sorted(categories, key=lambda one: int(one["id"]))]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{path} has no categories with id and name, as Label Studio's has; name the classes in classes.txt"
        ) from error


def _checked(names: Sequence[str], path: Path) -> tuple[str, ...]:
    if not names or not all(names) or len(set(names)) < len(names):
        raise DataError(f"{path} names {len(names)} classes, expected one or more, none empty and none twice")
    return tuple(names)
