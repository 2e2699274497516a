"""COCO's label files: one JSON document for many pictures."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.runtime.datasets.marks import Mark, Marked, Tally
from edgevit.schema import FieldError, read_json, read_value
from edgevit.text import decode_text

LARGEST = 1 << 29
"""Bytes of a document that are read at most; COCO's own has 470 million."""

_FARTHEST = 1e9


@dataclass(frozen=True)
class Image:
    """A picture that the document knows."""

    id: int | str
    file_name: str
    height: float | None = None
    width: float | None = None


@dataclass(frozen=True)
class Category:
    """A class."""

    id: int | str
    name: str
    supercategory: str | None = None


@dataclass(frozen=True)
class Annotation:
    """An object."""

    image_id: int | str
    category_id: int | str
    bbox: Sequence[float] | None = None
    """Left, top, width, height in pixels."""
    segmentation: Any = None
    """Polygons, x and y in turn; anything else says nothing of a box."""
    iscrowd: int | bool | None = 0


@dataclass(frozen=True)
class License:
    """What the pictures may be used for."""

    name: str | None = None


@dataclass(frozen=True)
class Document:
    """What is read of a COCO file; it has much else."""

    images: Sequence[Image]
    categories: Sequence[Category]
    annotations: Sequence[Annotation] = ()
    licenses: Sequence[License] = ()


def read_document(path: Path) -> Document:
    """Read a COCO file.

    Raises:
        DataError: it cannot be read, or is of another form.
    """
    try:
        content = read_regular(path, LARGEST)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_document(content, str(path))


def parse_document(content: bytes, where: str) -> Document:
    """Return what a COCO file's content says; see read_document."""
    try:
        text = decode_text(content)
    except ValueError as error:
        raise DataError(f"{where} is {error}") from error
    try:
        found = read_json(text)
        annotations = found.get("annotations", []) if isinstance(found, dict) else []
        document = read_value(Document, {**found, "annotations": []} if annotations else found, "document")
        if annotations:
            objects = read_value(Sequence[Any], annotations, "document.annotations")
            read = tuple(_annotation(one, f"document.annotations[{i}]") for i, one in enumerate(objects))
            document = replace(document, annotations=read)
    except FieldError as error:
        raise DataError(f"{where} is no COCO file: {error}") from error
    except ValueError as error:
        raise DataError(f"{where} is no JSON that can be read: {error}") from error
    assert isinstance(document, Document)
    for field, ids in (
        ("images", [image.id for image in document.images]),
        ("categories", [category.id for category in document.categories]),
    ):
        if len(set(ids)) < len(ids):
            double = next(one for one, times in Counter(ids).items() if times > 1)
            raise DataError(
                f"{where}: two of its {field} have the id {double!r}, so that nobody knows which is meant; give each "
                "an id of its own"
            )
    return document


def class_names(documents: Iterable[Document]) -> tuple[str, ...]:
    """Return the names of the classes in the order of their ids, of the first document first.

    Roboflow puts the name of the project in front, as a category of which the others are kinds: one that has no object
    in any document, and whose name is the supercategory of another, is no class.
    """
    documents = list(documents)
    used = set()
    for document in documents:
        ids = {annotation.category_id for annotation in document.annotations}
        used |= {category.name for category in document.categories if category.id in ids}
    categories = [one for document in documents for one in sorted(document.categories, key=_order)]
    above = {one.supercategory for one in categories if one.supercategory != one.name}
    return tuple(dict.fromkeys(one.name for one in categories if one.name in used or one.name not in above))


def marks_of(document: Document, where: str, tally: Tally) -> Mapping[int | str, Marked]:
    """Return what the document says of each picture, by the picture's id.

    Raises:
        DataError: an object is of a category that the document does not name, or its box has not four numbers.
    """
    names = {one.id: one.name for one in document.categories}
    marks: dict[int | str, list[Mark]] = {image.id: [] for image in document.images}
    for number, annotation in enumerate(document.annotations):
        place = f"{where}, annotations[{number}]"
        if annotation.category_id not in names:
            raise DataError(f"{place} is of category {annotation.category_id}, which categories does not name")
        sides = _sides(annotation, place)
        if annotation.image_id not in marks:
            tally.leave_out("of pictures that are not listed", place)
        elif sides is None:
            tally.leave_out("without sides", place)
        else:
            marks[annotation.image_id].append(Mark(names[annotation.category_id], sides, bool(annotation.iscrowd)))
            if not annotation.bbox:
                tally.remark("polygons taken as the box around them", place)
    return {image.id: Marked(f"{where}, {image.file_name}", marks[image.id], _size(image)) for image in document.images}


def _annotation(found: Any, where: str) -> Annotation:
    """Return an object; a usual one is known by a look, as a document may have a million."""
    usual = isinstance(found, dict)
    usual = usual and type(found.get("image_id")) is int and type(found.get("category_id")) is int
    usual = usual and found.get("iscrowd", 0) in (0, 1) and type(found.get("bbox")) is list and len(found["bbox"]) == 4
    if usual and all(type(side) in (int, float) and abs(side) < _FARTHEST for side in found["bbox"]):
        return Annotation(found["image_id"], found["category_id"], found["bbox"], None, found.get("iscrowd", 0))
    read = read_value(Annotation, found, where)
    assert isinstance(read, Annotation)
    return read


def _sides(annotation: Annotation, place: str) -> tuple[float, float, float, float] | None:
    """Return the sides of the box, or of the box around the polygons; None where there is neither."""
    if annotation.bbox:
        if len(annotation.bbox) != 4:
            raise DataError(f"{place}.bbox has {len(annotation.bbox)} numbers, expected left, top, width and height")
        left, top, width, height = annotation.bbox
        return left, top, left + width, top + height
    try:
        polygons: Sequence[Sequence[float]] = read_value(Sequence[Sequence[float]], annotation.segmentation, place)
    except FieldError:
        return None
    x = [value for polygon in polygons for value in polygon[::2]]
    y = [value for polygon in polygons for value in polygon[1::2]]
    return (min(x), min(y), max(x), max(y)) if x and y else None


def _size(image: Image) -> tuple[float, float] | None:
    known = image.height and image.width and min(image.height, image.width) >= 1
    return (image.height or 0, image.width or 0) if known else None


def _order(category: Category) -> tuple[bool, int, str]:
    return (False, category.id, "") if isinstance(category.id, int) else (True, 0, category.id)
