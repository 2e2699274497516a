"""The boxes that somebody marked in the pictures of a folder, in whichever format they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets import coco, voc, yolo
from edgevit.runtime.datasets.beside import VOC, YOLO, Form, Paired, find_homes, pair
from edgevit.runtime.datasets.coco_pictures import PictureIndex, find_documents
from edgevit.runtime.datasets.listing import LeftOut, Listing, list_pictures, natural_key, normalized
from edgevit.runtime.datasets.marks import Marked, Tally, true_boxes
from edgevit.runtime.datasets.parts import PARTS, Part
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.images.read import read_picture_header


@dataclass(frozen=True)
class BoxedPart:
    """Pictures and the boxes in them."""

    home: Path
    paths: tuple[Path, ...]
    boxes: tuple[TrueBoxes, ...]
    left_out: LeftOut
    remarks: Counter[str]
    """What was taken otherwise than it stands there, and how often."""


@dataclass(frozen=True)
class BoxFolder:
    """What a folder holds."""

    format: str
    names: tuple[str, ...]
    """The classes; boxes tell their place here."""
    parts: Mapping[Part, BoxedPart]
    """Only those that have labels."""


@dataclass(frozen=True)
class _MarkedPart:
    """Pictures, and what label files say of them."""

    home: Path
    paths: tuple[Path, ...]
    marked: tuple[Marked, ...]
    left_out: LeftOut
    tally: Tally
    remarks: Counter[str]


def read_boxes(root: Path, names: Sequence[str] | None = None) -> BoxFolder | None:
    """Read the boxes of a folder; None if it holds none in a format that is known here (docs/data.md lists them).

    Args:
        root: the folder.
        names: the classes, for YOLO files whose folder does not name them.

    Raises:
        DataError: it holds several formats, or a label file is damaged, or no picture can be read.
    """
    homes = find_homes(root)
    told = yolo.find_names(root)
    documents = find_documents(root)
    pairs = {
        form: {
            part: paired
            for part, home in homes.items()
            if (paired := pair(home, form, beside=form is VOC or told is not None))
        }
        for form in (YOLO, VOC)
    }
    found = {form.name: _where(form, parts) for form, parts in pairs.items() if parts}
    found |= {"COCO": next(iter(documents))} if documents else {}
    if len(found) > 1:
        shown = " and ".join(f"{name} ({where})" for name, where in found.items())
        raise DataError(f"{root} holds boxes in {len(found)} formats, {shown}; move all but one elsewhere")
    if documents:
        classes, parts = _read_coco(root, documents)
    elif pairs[YOLO]:
        classes, parts = _read_yolo(root, pairs[YOLO], told or names)
    elif pairs[VOC]:
        classes, parts = _read_voc(root, pairs[VOC])
    else:
        return None
    return BoxFolder(next(iter(found)), classes, {part: _boxed(marked, classes) for part, marked in parts.items()})


def _where(form: Form, parts: Mapping[Part, Paired]) -> Path:
    labels = (label for paired in parts.values() for label in paired.labels if label is not None)
    return next(labels, next(iter(parts.values())).home / form.folders[0])


def _read_yolo(
    root: Path, pairs: Mapping[Part, Paired], names: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[Part, _MarkedPart]]:
    if names is None:
        raise DataError(
            f"{root} holds YOLO labels, but nothing names their classes; write {root / 'classes.txt'}, a name a line, "
            "in the order of their numbers"
        )
    known = tuple(names)
    return known, {part: _marked(paired, YOLO, known) for part, paired in pairs.items()}


def _read_voc(root: Path, pairs: Mapping[Part, Paired]) -> tuple[tuple[str, ...], dict[Part, _MarkedPart]]:
    parts = {part: _marked(paired, VOC) for part, paired in pairs.items()}
    labels = {mark.label for part in parts.values() for marked in part.marked for mark in marked.marks}
    if "all" in parts and (lists := voc.read_lists(root)):
        parts = _divided(parts["all"], lists)
    return tuple(sorted(labels, key=natural_key)), parts


def _marked(paired: Paired, form: Form, names: Sequence[str] = ()) -> _MarkedPart:
    tally = Tally()

    def read(picture: Path, label: Path | None) -> Marked:
        if label is None:
            return Marked(str(picture), ())
        return yolo.read_marks(label, names, tally) if form is YOLO else voc.read_marks(label, tally)

    marked = tuple(map(read, paired.paths, paired.labels))
    return _MarkedPart(paired.home, paired.paths, marked, paired.left_out, tally, paired.remarks)


def _divided(whole: _MarkedPart, lists: Mapping[Part, frozenset[str]]) -> dict[Part, _MarkedPart]:
    """Return the parts that lists of pictures' names make of a folder; what was left out is told of the first."""
    parts: dict[Part, _MarkedPart] = {}
    names = [normalized(path.stem) for path in whole.paths]
    for part, listed in lists.items():
        chosen = [i for i, name in enumerate(names) if name in listed]
        kept = replace(
            whole,
            paths=tuple(whole.paths[i] for i in chosen),
            marked=tuple(whole.marked[i] for i in chosen),
        )
        parts[part] = kept if not parts else replace(kept, left_out=LeftOut(), tally=Tally(), remarks=Counter())
    first = next(iter(parts.values()))
    if unlisted := len(set(names) - frozenset().union(*lists.values())):
        first.left_out.files[f"in no list of {voc.LISTS}"] += unlisted
    if absent := len(frozenset().union(*lists.values()) - set(names)):
        first.left_out.files[f"in a list of {voc.LISTS}, but not there"] += absent
    return {part: marked for part, marked in parts.items() if marked.paths}


def _read_coco(root: Path, documents: Mapping[Path, Part]) -> tuple[tuple[str, ...], dict[Part, _MarkedPart]]:
    read = {path: coco.read_document(path) for path in documents}
    listings: dict[Path, Listing] = {}
    parts: dict[Part, _MarkedPart] = {}
    for part in (*PARTS, "all"):
        own = [path for path, its_part in documents.items() if its_part == part]
        if not own:
            continue
        home = own[0].parent if own[0].parent.name in PARTS.get(part, ()) else root
        listing = listings.setdefault(home, list_pictures(home))
        parts[part] = _find_pictures(home, listing, part, {path: read[path] for path in own})
    used = {path for part in parts.values() for path in part.paths}
    for home, listing in listings.items():
        first = next(part for part in parts.values() if part.home == home)
        for suffix in (".json", ".yaml", ".yml"):
            first.left_out.files.pop(suffix, None)
        if strange := len(set(listing.paths) - used):
            first.left_out.files["pictures that no document names"] += strange
    return coco.class_names(read.values()), parts


def _find_pictures(home: Path, listing: Listing, part: Part, documents: Mapping[Path, coco.Document]) -> _MarkedPart:
    index, tally, absent = PictureIndex(listing.paths), Tally(), 0
    found: dict[Path, Marked] = {}
    for path, document in documents.items():
        marks = coco.marks_of(document, str(path), tally)
        for image in document.images:
            picture = index.find(image.file_name, part)
            if picture is None:
                absent += 1
            elif picture in found:
                found[picture] = replace(found[picture], marks=(*found[picture].marks, *marks[image.id].marks))
            else:
                found[picture] = marks[image.id]
    if not found:
        raise DataError(
            f"{next(iter(documents))} names {absent} pictures, but none of them is in {home}; put them there"
        )
    left_out = replace(listing.left_out, files=Counter(listing.left_out.files))
    if absent:
        left_out.files["named by a document, but not there"] += absent
    order = sorted(found, key=lambda path: natural_key(str(path)))
    return _MarkedPart(home, tuple(order), tuple(found[path] for path in order), left_out, tally, Counter())


def _boxed(part: _MarkedPart, names: Sequence[str]) -> BoxedPart:
    classes = {name: i for i, name in enumerate(names)}
    paths, boxes, tally = [], [], part.tally
    unfit = Tally()
    for path, marked in zip(part.paths, part.marked, strict=True):
        try:
            header = read_picture_header(path)
        except ImageError:
            unfit.leave_out("damaged pictures", str(path))
            continue
        truth = true_boxes(marked, header, classes, tally)
        if truth is None:
            unfit.leave_out("pictures of another form than their labels say", marked.where)
            continue
        paths.append(path)
        boxes.append(truth)
    if not paths:
        raise DataError(f"{part.home}: none of its {len(part.paths)} pictures is fit: {_told(unfit)}")
    left_out = part.left_out + LeftOut(files=unfit.told(unfit.boxes), boxes=tally.told(tally.boxes))
    return BoxedPart(part.home, tuple(paths), tuple(boxes), left_out, part.remarks + tally.told(tally.remarks))


def _told(unfit: Tally) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in unfit.told(unfit.boxes).items())
