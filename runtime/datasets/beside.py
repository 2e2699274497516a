"""Label files of which each picture has one, beside it or in a folder beside that of the pictures."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.errors import DataError
from edgevit.runtime.datasets.listing import (
    LeftOut,
    list_files,
    list_pictures,
    normalized,
    with_slashes,
)
from edgevit.runtime.datasets.parts import PARTS, Part, find_homes
from edgevit.runtime.datasets.yaml_lists import read_yaml
from edgevit.runtime.datasets.yolo import NAMES_FILES, YAML, read_text, yaml_files

PICTURES = ("images", "JPEGImages")
"""Folders that hold the pictures where labels lie in a folder of their own."""
DARKNET: dict[Part, str] = {"train": "obj_train_data", "val": "obj_valid_data", "test": "obj_test_data"}
"""Folders of CVAT's "YOLO 1.1"."""

_PREFIX = re.compile(r"(^|/)[0-9a-f]{8}-(?=[^/]+$)")
"""What Label Studio puts in front of a picture's name."""
_NO_LABELS = re.compile(r"(classes|readme.*|licen[cs]e|train|val|valid|validation|test|trainval)$", re.IGNORECASE)
"""Names of text files beside pictures that label none."""


@dataclass(frozen=True)
class Form:
    """A format of label files."""

    name: str
    suffix: str
    folders: tuple[str, ...]
    """Names of the folders of label files."""
    companions: tuple[str, ...] = ()
    """Suffixes of other files that belong to it."""


YOLO = Form("YOLO", ".txt", ("labels",), (*YAML, ".names", ".data", ".json"))
VOC = Form("Pascal VOC", ".xml", ("Annotations", "annotations", "labels", "xmls"))

BOX_FOLDERS = (*PICTURES, *YOLO.folders, *VOC.folders, "ImageSets")
"""Folders that belong to the parts they lie beside."""


@dataclass(frozen=True)
class Paired:
    """Pictures and their label files."""

    home: Path
    paths: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    """None for a picture that has none."""
    left_out: LeftOut
    remarks: Counter[str]


def find_boxed_homes(root: Path) -> dict[Part, Path]:
    """Return the folder of each part, or the whole as "all"."""
    homes = find_homes(root, PICTURES)
    if "all" not in homes:
        return homes
    darknet = {part: root / name for part, name in DARKNET.items() if (root / name).is_dir()}
    return _parts_of_yaml(root) or darknet or homes


def pair(home: Path, form: Form, *, beside: bool = True) -> Paired | None:
    """Return the pictures of a part and their label files; None where there are no label files of that form.

    Args:
        home: the part's folder.
        form: the format.
        beside: whether files beside the pictures are labels; text files there may be anything.

    Raises:
        DataError: there are label files but no pictures.
    """
    pictures = next((home / name for name in PICTURES if (home / name).is_dir()), home)
    apart = _labels_apart(home, pictures, form)
    if apart is None and not beside:
        return None
    files = _by_key(apart or pictures, form)
    listing = list_pictures(pictures)
    keys = [pairing_key(path, pictures) for path in listing.paths]
    if apart is None:
        files = {key: path for key, path in files.items() if key in set(keys) or not _NO_LABELS.match(path.stem)}
        if not files.keys() & set(keys):
            return None
    if not listing.paths and not files:
        return None
    if not listing.paths:
        raise DataError(
            f"{apart or pictures} holds {len(files)} label files, but {pictures} no picture; put the pictures there "
            "(a tool whose pictures lie in a cloud exports none)"
        )
    matched, prefixed = _match(keys, files)
    left_out, remarks = listing.left_out, Counter[str]()
    if pictures == home:
        for suffix in (form.suffix, *form.companions):
            left_out.files.pop(suffix, None)
    if orphans := len(files) - len(matched):
        left_out.files[f"{form.suffix} labels without a picture"] += orphans
    if twins := count_twins([key for key in keys if key in matched]):
        remarks["pictures that share a label file, as only the suffix of their names differs"] += twins
    if prefixed:
        remarks["labels matched to pictures whose names lack Label Studio's prefix"] += prefixed
    labels = tuple(matched.get(key) for key in keys)
    if lacking := labels.count(None):
        remarks["pictures without a label file, taken for pictures without objects"] += lacking
    return Paired(home, listing.paths, labels, left_out, remarks)


def pairing_key(path: Path, folder: Path) -> str:
    """Return what a picture in its folder has in common with its label file, or mask, in that one's."""
    return with_slashes(normalized(str(path.relative_to(folder).with_suffix(""))))


def count_twins(keys: Sequence[str]) -> int:
    """Return how many pictures have the key of another, as a.jpg and a.png have, so that one file tells of both."""
    return sum(count for count in Counter(keys).values() if count > 1)


def labels_folders(root: Path, homes: Iterable[Path]) -> list[Path]:
    """Return where files may lie that tell of all labels: the folder, its parts, and their folders of labels."""
    above = [root.absolute().parent] if any(root.name in spellings for spellings in PARTS.values()) else []
    inside = [place for folder in dict.fromkeys((root, *homes)) for place in (folder, *_labels_places(folder, YOLO))]
    return [folder for folder in (*inside, *above) if folder.is_dir()]


def _labels_apart(home: Path, pictures: Path, form: Form) -> Path | None:
    """Return the folder of the label files, if they have one of their own."""
    for folder in (*_labels_places(pictures, form), *(home / name for name in form.folders)):
        if folder.is_dir() and (list_files(folder, form.suffix) or not any(folder.iterdir())):
            return folder
    return None


def _labels_places(pictures: Path, form: Form) -> list[Path]:
    """Return where labels may lie of the pictures in a folder: labels/train of images/train, and labels/ within it."""
    parts = list(pictures.parts)
    place = next((i for i in reversed(range(len(parts))) if parts[i] in PICTURES), None)
    swapped = [Path(*parts[:place], name, *parts[place + 1 :]) for name in form.folders] if place is not None else []
    return [*swapped, *(pictures / name for name in form.folders)]


def _by_key(folder: Path, form: Form) -> dict[str, Path]:
    files = (path for path in list_files(folder, form.suffix) if path.name not in NAMES_FILES)
    return {pairing_key(path, folder): path for path in files}


def _match(keys: list[str], files: Mapping[str, Path]) -> tuple[dict[str, Path], int]:
    """Return the label file of each picture that has one, and how many were found without a prefix."""
    matched = {key: files[key] for key in keys if key in files}
    bare = {_PREFIX.sub(r"\1", key): path for key, path in files.items() if key not in matched}
    prefixed = {key: bare[key] for key in keys if key in bare and key not in matched}
    return matched | prefixed, len(prefixed)


def _parts_of_yaml(root: Path) -> dict[Part, Path]:
    """Return the folders that data.yaml names as parts, if they are here, wherever they were when it was written."""
    for path in yaml_files(root):
        found = read_yaml(read_text(path), str(path))
        parts: dict[Part, Path] = {}
        for part, spellings in PARTS.items():
            told = next((value for name in spellings if isinstance(value := found.get(name), str)), "")
            names = [name for name in told.replace("\\", "/").split("/") if name not in ("", ".", "..")]
            tails = (root.joinpath(*names[start:]) for start in range(len(names)))
            if folder := next((tail for tail in tails if tail.is_dir()), None):
                parts[part] = folder
        if len(set(parts.values())) == len(parts) > 0:
            return parts
    return {}
