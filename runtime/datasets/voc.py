"""Pascal VOC's label files: an XML file for each picture."""

import math
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.runtime.datasets.marks import Mark, Marked, Tally

LISTS = "ImageSets/Main"
"""Folder of the lists, a name a line, that divide the pictures into parts."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_DEEPEST = 100


def read_marks(path: Path, tally: Tally) -> Marked:
    """Read the label file of a picture: sides in pixels, for each object.

    Old tools count pixels from 1, newer ones from 0, and the files do not say which: they are taken from 0, so that a
    box may stand one pixel off. An object that is marked as difficult is one as all others are.

    Raises:
        DataError: it cannot be read, is no XML, or is of another form.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_marks(content, str(path), tally)


def parse_marks(content: bytes, where: str, tally: Tally) -> Marked:
    """Return the marks in a label file's content; see read_marks."""
    root = parse_xml(content, where)
    if root.tag != "annotation":
        raise DataError(f"{where} holds <{root.tag[:40]}>, expected Pascal VOC's <annotation>")
    marks = []
    for found in root.iterfind("object"):
        name = (found.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where} has an object without a name; name it or remove it")
        box = found.find("bndbox")
        if box is None:
            tally.leave_out("without sides", where)
            continue
        left, top, right, bottom = (_number(box, side, where) for side in _SIDES)
        marks.append(Mark(name, (left, top, right, bottom)))
    return Marked(where, marks, _size(root))


def parse_xml(content: bytes, where: str) -> Element:
    """Return the root of a document that declares nothing of its own, so that nothing in it can grow.

    Raises:
        DataError: it is no XML, or has a document type, or its elements lie more than 100 deep.
    """
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f"{where} is nested deeper than {_DEEPEST}; it is no label file")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise DataError(f"{where} declares a document type, which label files do not need; remove its <!DOCTYPE ...>")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, ParseError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where} is no XML: {error}") from error


def _number(box: Element, side: str, where: str) -> float:
    text = (box.findtext(side) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {side} is {text[:40]!r}, expected a number of pixels")
    return value


def _size(root: Element) -> tuple[float, float] | None:
    """Return (height, width) if they are told; some tools write 0."""
    try:
        height, width = (float(root.findtext(f"size/{name}") or 0) for name in ("height", "width"))
    except ValueError:
        return None
    return (height, width) if min(height, width) >= 1 and math.isfinite(height * width) else None
