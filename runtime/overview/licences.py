"""What the files of a data set say of its licence."""

import re
from collections.abc import Iterator
from pathlib import Path

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.runtime.datasets import coco
from edgevit.runtime.datasets.coco_pictures import find_documents
from edgevit.runtime.datasets.yaml_lists import read_yaml
from edgevit.runtime.datasets.yolo import read_text, yaml_files

_KNOWN = re.compile(r"\b(CC[ -]?BY|CC0|Creative Commons|MIT|Apache|GPL|ODbL)\b")

LONGEST = 120
"""Characters of a line that are told."""
_WORDS = ("licence", "license")
_MOST = 1 << 20


def find_licences(root: Path) -> tuple[str, ...]:
    """Return lines about a licence, each with the file that has it; nothing where none says anything.

    They stand in data.yaml, in COCO's documents, in a file called licence, and in one called readme.
    """
    return tuple(dict.fromkeys(f"{text[:LONGEST]} ({path.relative_to(root)})" for path, text in _lines(root)))


def _lines(root: Path) -> Iterator[tuple[Path, str]]:
    for path in yaml_files(root):
        found = read_yaml(read_text(path), str(path))
        nested = found.get("roboflow")
        for place in (found, nested if isinstance(nested, dict) else {}):
            yield from ((path, value) for word in _WORDS if isinstance(value := place.get(word), str) and value)
    for path in find_documents(root):
        yield from ((path, one.name) for one in coco.read_document(path).licenses if one.name)
    for path in sorted(root.iterdir()):
        name = path.name.lower()
        if name.startswith(_WORDS) and path.is_file():
            lines = _text(path)
            yield from ((path, line) for line in (*lines[:1], *filter(_KNOWN.search, lines[1:])))
        elif name.startswith("readme") and path.is_file():
            yield from ((path, line) for line in _text(path) if any(word in line.lower() for word in _WORDS))


def _text(path: Path) -> list[str]:
    """Return the lines of a text that have some."""
    try:
        content = read_regular(path, _MOST)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
