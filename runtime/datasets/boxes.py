"""The boxes that somebody marked in the pictures of a folder, in whichever format they are."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.errors import DataError, ImageError
from edgevit.runtime.datasets import voc, yolo
from edgevit.runtime.datasets.beside import VOC, YOLO, Form, Paired, find_boxed_homes, labels_folders, pair
from edgevit.runtime.datasets.coco_pictures import find_documents
from edgevit.runtime.datasets.coco_pictures import read_marks as read_coco
from edgevit.runtime.datasets.listing import LeftOut, natural_key
from edgevit.runtime.datasets.lists import divide, read_lists
from edgevit.runtime.datasets.marks import Marked, MarkedPart, Tally, true_boxes
from edgevit.runtime.datasets.parts import Part
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
    unlabelled: Mapping[Part, Path]
    """The folders of those that have none."""


def read_boxes(root: Path, names: Sequence[str] | None = None) -> BoxFolder | None:
    """Read the boxes of a folder; None if it holds none in a format that is known here (docs/data.md lists them).

    Args:
        root: the folder.
        names: the classes, for YOLO files whose folder does not name them.

    Raises:
        DataError: it holds several formats, or a label file is damaged, or no picture can be read.
    """
    homes = find_boxed_homes(root)
    named = yolo.names_files(labels_folders(root, homes.values()))
    documents = find_documents(root)
    yolo_pairs = _pairs(homes, YOLO, beside=bool(named))
    voc_pairs = _pairs(homes, VOC, beside=True)
    found = {form.name: _where(form, parts) for form, parts in ((YOLO, yolo_pairs), (VOC, voc_pairs)) if parts} | (
        {"COCO": next(iter(documents))} if documents else {}
    )
    if not found:
        return None
    if len(found) > 1:
        shown = " and ".join(f"{name} ({where})" for name, where in found.items())
        raise DataError(f"{root} holds boxes in {len(found)} formats, {shown}; move all but one elsewhere")
    if documents:
        classes, parts = read_coco(root, documents)
    elif yolo_pairs:
        classes = _yolo_names(root, named, names)
        parts = _marked_parts(yolo_pairs, lambda label, tally: yolo.read_marks(label, classes, tally), root)
    else:
        parts = _marked_parts(voc_pairs, voc.read_marks, root / voc.LISTS)
        labels = {mark.label for part in parts.values() for marked in part.marked for mark in marked.marks}
        classes = tuple(sorted(labels, key=natural_key))
    boxed = {part: _boxed(marked, classes) for part, marked in parts.items()}
    unlabelled = {} if "all" in (*boxed, *homes) else {part: homes[part] for part in homes if part not in boxed}
    return BoxFolder(next(iter(found)), classes, boxed, unlabelled)


def _pairs(homes: Mapping[Part, Path], form: Form, *, beside: bool) -> dict[Part, Paired]:
    pairs = {part: pair(home, form, beside=beside) for part, home in homes.items()}
    return {part: paired for part, paired in pairs.items() if paired is not None}


def _where(form: Form, parts: Mapping[Part, Paired]) -> Path:
    """Return a label file, or where there would be some."""
    labels = (label for paired in parts.values() for label in paired.labels if label is not None)
    return next(labels, next(iter(parts.values())).home / form.folders[0])


def _yolo_names(root: Path, files: Sequence[Path], names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes that files name, which must agree; where there are none, those that are known otherwise."""
    told = {path: yolo.read_names(path) for path in files}
    for path, others in told.items():
        if others != told[files[0]]:
            raise DataError(f"{files[0]} and {path} do not name the same classes in the same order; mend or remove one")
    known = told[files[0]] if files else names
    if known is None:
        raise DataError(
            f"{root} holds YOLO labels, but nothing names their classes; write {root / 'classes.txt'}, a name a line, "
            "in the order of their numbers"
        )
    return tuple(known)


def _marked_parts(
    pairs: Mapping[Part, Paired], read: Callable[[Path, Tally], Marked], lists: Path
) -> dict[Part, MarkedPart]:
    """Read the label files of each part; a folder without parts has those of the lists that lie in `lists`."""
    parts: dict[Part, MarkedPart] = {}
    for part, paired in pairs.items():
        tally = Tally()
        marked = tuple(
            Marked(str(picture), ()) if label is None else read(label, tally)
            for picture, label in zip(paired.paths, paired.labels, strict=True)
        )
        parts[part] = MarkedPart(paired.home, paired.paths, marked, paired.left_out, paired.remarks, tally)
    divided = read_lists(lists) if "all" in parts else {}
    return divide(parts["all"], divided, lists) if divided else parts


def _boxed(part: MarkedPart, names: Sequence[str]) -> BoxedPart:
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
