"""A folder of pictures, its parts, and what is known of each picture: the one reader for train, export and validate."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from edgevit.errors import DataError
from edgevit.runtime.datasets.beside import BOX_FOLDERS, PICTURES, count_twins, pairing_key
from edgevit.runtime.datasets.boxes import BoxFolder, read_boxes
from edgevit.runtime.datasets.listing import (
    LeftOut,
    as_one_folder,
    list_files,
    list_pictures,
    natural_key,
    no_pictures,
    normalized,
    with_slashes,
)
from edgevit.runtime.datasets.masks import find_masks, read_mask_names
from edgevit.runtime.datasets.parts import PARTS, Part, find_doubles, find_homes, find_namesakes, find_strays
from edgevit.runtime.detection.boxes import TrueBoxes

Layout = Literal["classes", "masks", "boxes", "plain"]
"""What is known of each picture: the class that its folder names, a mask of the same name, boxes, or nothing."""


@dataclass(frozen=True)
class Pictures:
    """Picture files, and what is known of each."""

    home: Path
    """The folder that was searched: what was asked for, or one of its parts."""
    paths: tuple[Path, ...]
    classes: tuple[str, ...] | None = None
    """The class of each picture: the folder in `home` that it lies in, in Unicode's composed form; None for none."""
    masks: tuple[Path, ...] | None = None
    """A PNG of class numbers for each picture; None where there are none."""
    mask_names: tuple[str, ...] = ()
    """The classes that the numbers in masks stand for, in their order; empty where nothing tells."""
    boxes: tuple[TrueBoxes, ...] | None = None
    """What is marked in each picture, in pixels of the upright picture; None where nothing tells."""
    box_names: tuple[str, ...] = ()
    """The classes of the boxes, in the order of their numbers; also those of which there is none."""
    left_out: LeftOut = field(default_factory=LeftOut)
    remarks: Counter[str] = field(default_factory=Counter)
    """What was taken otherwise than it stands in the label files, and how often."""
    loose: int = 0
    """Pictures left out because they lie beside the class folders, so that their class is not known."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The path of each picture from `home`, with slashes, in Unicode's composed form: equal on every machine."""
        start = os.path.join(self.home, "")
        return tuple(with_slashes(normalized(str(path).removeprefix(start))) for path in self.paths)

    def subset(self, indices: Sequence[int]) -> "Pictures":
        """Return some of the pictures, in the order of the indices."""
        return replace(
            self,
            paths=tuple(self.paths[i] for i in indices),
            classes=None if self.classes is None else tuple(self.classes[i] for i in indices),
            masks=None if self.masks is None else tuple(self.masks[i] for i in indices),
            boxes=None if self.boxes is None else tuple(self.boxes[i] for i in indices),
        )

    def boxes_by(self, names: Sequence[str]) -> tuple[TrueBoxes, ...] | None:
        """Return the boxes with the place in `names` of each one's class; None where nothing is known of boxes.

        Raises:
            DataError: a class of which there are boxes is not among the names.
        """
        if self.boxes is None:
            return None
        index = {normalized(name): i for i, name in enumerate(names)}
        places = np.array([index.get(normalized(name), -1) for name in self.box_names] or [0], np.int64)
        used = sorted({int(number) for truth in self.boxes for number in truth.classes})
        strange = [self.box_names[number] for number in used if places[number] < 0]
        if strange:
            raise DataError(
                f"{self.home}: boxes of {_first(strange)}, which is no class of the model, whose labels are "
                f"{_first(names)}; rename the class or remove its boxes"
            )
        return tuple(replace(truth, classes=places[truth.classes]) for truth in self.boxes)

    def class_names(self) -> tuple[str, ...]:
        """Return the classes that occur, in natural order."""
        return tuple(sorted(set(self.classes or ()), key=natural_key))

    def labels(self, names: Sequence[str]) -> tuple[int, ...] | None:
        """Return the index in `names` of each picture's class; None where the classes are not known.

        Raises:
            DataError: a class is not among the names.
        """
        if self.classes is None:
            return None
        index = {normalized(name): i for i, name in enumerate(names)}
        folders = self.class_names()
        strange = [name for name in folders if name not in index]
        if strange:
            raise DataError(
                f"{self.home}: {_first(strange)} ({len(strange)} of {len(folders)} folders) is no class of the model, "
                f"whose labels are {_first(names)}; rename or remove the folder, or pass --unlabelled to compare "
                "answers only"
            )
        return tuple(index[name] for name in self.classes)


@dataclass(frozen=True)
class PictureFolder:
    """A folder and its parts."""

    root: Path
    parts: dict[Part, Pictures]
    """Train, val and test, those that are there; or the whole folder as "all"."""
    format: str = ""
    """The format of the boxes, such as "COCO"; empty where there are none."""
    strays: LeftOut = field(default_factory=LeftOut)
    """What lies beside the parts."""

    @property
    def home(self) -> Pictures | None:
        """The pictures that a training may have seen: those of train, or of a folder without parts."""
        return self.parts.get("train") or self.parts.get("all")

    @property
    def held_out(self) -> Pictures | None:
        """The part that is kept from training: val, else test; None where neither is there."""
        return self.parts.get("val") or self.parts.get("test")

    @property
    def images(self) -> int:
        """The number of pictures in all parts."""
        return sum(len(part.paths) for part in self.parts.values())

    def notes(self) -> Iterator[str]:
        """Yield what was left out, a line for each part and kind of reason, and classes that may be one."""
        if str(self.strays):
            yield f"{self.root}: {self.strays}"
        for part in self.parts.values():
            if str(part.left_out):
                yield f"{part.home}: {part.left_out}"
            for text, count in part.remarks.items():
                yield f"{part.home}: {count:,} {text}"
            if part.loose:
                yield f"{part.loose} images beside the class folders of {part.home} have no class, and are left out"
        alike: dict[str, set[str]] = {}
        for name in (name for part in self.parts.values() for name in (*part.class_names(), *part.box_names)):
            alike.setdefault(as_one_folder(name), set()).add(name)
        for twins in (sorted(names) for names in alike.values() if len(names) > 1):
            yield (
                f"{self.root}: {' and '.join(twins)} count as {len(twins)} classes, though the case of letters alone "
                "differs; if they are one thing, give them one name"
            )


def read_folder(data: Path, layout: Layout, names: Sequence[str] | None = None) -> PictureFolder:
    """List the pictures of a folder: train/, val/ (valid/, validation/) and test/ if they are there, else all of it.

    For classes each part holds a folder for each class; for masks, images/ beside masks/, where masks/a/street.png is
    the mask of images/a/street.jpg, or the parts lie in both; for boxes, one of the formats of docs/data.md. A part
    without any of these is listed, and nothing is known of its pictures. A picture in two parts, by links or by lists,
    stays where it judges.

    Args:
        data: the folder.
        layout: what may be known of the pictures.
        names: the classes, if they are known: where sub-folders may be classes, one that bears the name of one is no
            part. Where they are not known, nothing tells such a class from a part without train.

    Raises:
        DataError: it is not a folder or cannot be read, it or a part of it has no picture of its own, a mask is
            missing, a label file is damaged, or what may be classes is called as parts are, and there is no train.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; {EXPECTED[layout]}")
    if layout == "boxes" and (found := read_boxes(data, names)):
        folder = _boxed(data, found)
    else:
        # Cityscapes and COCO have trains, but where masks or boxes tell the classes, train/ is what to learn from
        taken = (names or ()) if layout in ("classes", "plain") else ()
        homes = find_homes(data, ("images",) if layout == "masks" else (), taken)
        if layout == "classes" and names is None and "train" not in homes and (alike := find_namesakes(data)):
            raise DataError(
                f"{data} holds {' and '.join(alike)} but no train; put the images to train on into {data / 'train'}, "
                "in small letters, or rename a class that is called so"
            )
        parts = {part: read_pictures(home, layout) for part, home in homes.items()}
        if any(pictures.masks is not None for pictures in parts.values()):
            written = read_mask_names(data)
            parts = {part: replace(pictures, mask_names=written) for part, pictures in parts.items()}
        folder = PictureFolder(data, parts)
    if layout in ("masks", "boxes") and "all" in folder.parts:
        places = (data, *(place for name in PICTURES if (place := data / name).is_dir()))
        if odd := [name for place in places for name in find_namesakes(place)]:
            told = f"folders not taken for parts, which have small letters: {', '.join(odd)}"
            folder.parts["all"].remarks[told] += len(odd)
    strays = find_strays(data, [pictures.home for pictures in folder.parts.values()], _BELONGING[layout])
    return replace(folder, parts=_without_doubles(data, folder.parts), strays=strays)


EXPECTED: dict[Layout, str] = {
    "classes": "give one that holds images, at best one sub-folder for each class",
    "masks": "give one that holds images, at best as images/ beside masks/",
    "boxes": "give one that holds images and label files, such as images/ beside labels/",
    "plain": "give one that holds images, at any depth",
}


_BELONGING: dict[Layout, tuple[str, ...]] = {
    "classes": (),
    "masks": ("images", "masks"),
    "boxes": BOX_FOLDERS,
    "plain": (),
}
"""Folders that are no strays beside parts."""


def read_pictures(home: Path, layout: Layout) -> Pictures:
    """List the pictures of one part; see read_folder."""
    if layout == "masks" and (found := find_masks(home)):
        return _read_masked(home, *found)
    listing = list_pictures(home)
    if not listing.paths:
        raise DataError(no_pictures(home))
    every = Pictures(home, listing.paths, left_out=listing.left_out)
    inside = [i for i, name in enumerate(every.names) if "/" in name]
    if layout != "classes" or not inside:
        return every
    labelled = every.subset(inside)
    classes = tuple(name.partition("/")[0] for name in labelled.names)
    return replace(labelled, classes=classes, loose=len(every.paths) - len(inside))


def training_home(part: Path) -> Pictures | None:
    """Return the pictures of the part train beside a folder that is val or test; None if it is no such folder."""
    part = part.resolve()
    named = any(part.name in PARTS[name] for name in ("val", "test"))
    beside = part.parent / "train"
    return read_pictures(beside, "plain") if named and beside.is_dir() else None


def _boxed(data: Path, found: BoxFolder) -> PictureFolder:
    """Return a folder of boxes; a part that has pictures but no labels is listed."""
    parts = {part: read_pictures(home, "plain") for part, home in found.unlabelled.items()}
    for part, one in found.parts.items():
        parts[part] = Pictures(
            one.home, one.paths, boxes=one.boxes, box_names=found.names, left_out=one.left_out, remarks=one.remarks
        )
    return PictureFolder(data, {part: parts[part] for part in (*PARTS, "all") if part in parts}, found.format)


def _without_doubles(root: Path, parts: dict[Part, Pictures]) -> dict[Part, Pictures]:
    """Return the parts without the pictures that are in another one, too, which keeps them; see find_doubles.

    Raises:
        DataError: train has no others.
    """
    kept = dict(parts)
    for part, doubles in find_doubles({part: pictures.paths for part, pictures in parts.items()}).items():
        pictures = parts[part]
        own = [i for i in range(len(pictures.paths)) if i not in doubles]
        told = Counter(f"pictures that are in {other}, too, and left out of {part}" for other in doubles.values())
        if own:
            kept[part] = replace(pictures.subset(own), remarks=pictures.remarks + told)
        elif part == "train":
            raise DataError(f"{root}: every picture of train is in {doubles[0]}, too; put others there to train on")
        else:
            del kept[part]
            kept[doubles[0]] = replace(kept[doubles[0]], remarks=kept[doubles[0]].remarks + told)
    return kept


def _read_masked(home: Path, images: Path, folder: Path) -> Pictures:
    listing = list_pictures(images)
    if not listing.paths:
        raise DataError(no_pictures(images))
    drawn = list_files(folder, ".png")
    by_key = {pairing_key(mask, folder): mask for mask in drawn}
    keys = [pairing_key(path, images) for path in listing.paths]
    plain = [folder / path.relative_to(images).with_suffix(".png") for path in listing.paths]
    masks = tuple(by_key.get(key, mask) for key, mask in zip(keys, plain, strict=True))
    missing = next((mask for mask in masks if not mask.is_file()), None)
    if missing is not None:
        raise DataError(f"there is no mask {missing}; every picture of {images} needs one of its name")
    used = {_as_name(mask) for mask in masks}
    others = sum(_as_name(mask) not in used for mask in drawn)
    lone = LeftOut(Counter({".png in masks that belong to no picture": others} if others else {}))
    twins = count_twins(keys)
    shared = Counter({"pictures that share a mask, as only the suffix of their names differs": twins} if twins else {})
    return Pictures(home, listing.paths, masks=masks, left_out=listing.left_out + lone, remarks=shared)


def _as_name(path: Path) -> str:
    """Return a path as every file system compares it."""
    return normalized(str(path)).lower()


def _first(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
