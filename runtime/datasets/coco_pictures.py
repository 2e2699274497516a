"""Which picture on the disk each entry of a COCO document means."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.runtime.datasets import coco
from edgevit.runtime.datasets.listing import (
    LeftOut,
    Listing,
    list_pictures,
    natural_key,
    normalized,
    visible_folders,
    with_slashes,
)
from edgevit.runtime.datasets.marks import Marked, MarkedPart, Tally
from edgevit.runtime.datasets.parts import PARTS, Part, find_parts
from edgevit.schema import CutOffError, read_json
from edgevit.text import MARK, UTF8, find_encoding

_PREFIX = re.compile("^[0-9a-f]{8}-")
"""What Label Studio puts in front of a picture's name."""


_COMPANIONS = (".json", ".yaml", ".yml")
"""Suffixes of files that belong to the documents."""


def find_documents(root: Path) -> dict[Path, Part]:
    """Return the COCO documents of a folder, and the part that each tells of.

    They lie in the folder itself, in annotations/, or beside the pictures of a part.

    Raises:
        DataError: some tell of a part by their name or place, and others do not.
    """
    homes = find_parts(root)
    folders = [root, *(root / name for name in visible_folders(root) if name.lower() == "annotations"), *homes.values()]
    found = [path for folder in folders for path in sorted(folder.glob("*.json")) if _is_document(path)]
    # COCO's own folder holds captions and keypoints of the same pictures, too
    found = [path for path in found if path.stem.startswith("instances")] or found
    beside = {home: part for part, home in homes.items()}
    parts = {path: beside.get(path.parent) or _part_of(path.stem) for path in found}
    if "all" in parts.values() and len(set(parts.values())) > 1:
        unknown = next(path for path, part in parts.items() if part == "all")
        raise DataError(f"{unknown} does not say of which part it tells; name it as the others, such as _train or _val")
    return parts


class PictureIndex:
    """Pictures by their names."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            self._by_name[normalized(path.name)].append(path)

    def find(self, file_name: str, part: Part) -> Path | None:
        """Return the picture that a document means, wherever it lay when that was written; None if it is not here.

        Raises:
            DataError: it may be one of several.
        """
        told = [name for name in normalized(file_name).replace("\\", "/").split("/") if name]
        if not told:
            return None
        found = self._by_name.get(told[-1]) or self._by_name.get(_PREFIX.sub("", told[-1])) or []
        ranks = [(_common_end(path, told), _is_in(path, part)) for path in found]
        best = [path for path, rank in zip(found, ranks, strict=True) if rank == max(ranks)]
        if len(best) > 1:
            raise DataError(f"{file_name} may be {best[0]} or {best[1]}; give the pictures different names")
        return best[0] if best else None


def read_marks(root: Path, documents: Mapping[Path, Part]) -> tuple[tuple[str, ...], dict[Part, MarkedPart]]:
    """Return the classes, and the pictures of each part that documents name.

    Raises:
        DataError: a document is damaged, none of its pictures is there, or one may be either of two.
    """
    read = {path: coco.read_document(path) for path in documents}
    listings: dict[Path, Listing] = {}
    parts: dict[Part, MarkedPart] = {}
    for part in (*PARTS, "all"):
        own = [path for path, its_part in documents.items() if its_part == part]
        if not own:
            continue
        home = own[0].parent if own[0].parent.name in PARTS.get(part, ()) else root
        if home not in listings:
            listings[home] = list_pictures(home)
        parts[part] = _find_pictures(home, listings[home], part, {path: read[path] for path in own})
    used = {path for part in parts.values() for path in part.paths}
    for home, listing in listings.items():
        first = next(part for part in parts.values() if part.home == home)
        first.left_out.folders.update(listing.left_out.folders)
        others = {kind: count for kind, count in listing.left_out.files.items() if kind not in _COMPANIONS}
        first.left_out.files.update(others)
        if strange := len(set(listing.paths) - used):
            first.left_out.files["pictures that no document names"] += strange
    return coco.class_names(read.values()), parts


def _find_pictures(home: Path, listing: Listing, part: Part, documents: Mapping[Path, coco.Document]) -> MarkedPart:
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
    left_out = LeftOut()
    if absent:
        left_out.files["named by a document, but not there"] += absent
    order = sorted(found, key=lambda path: natural_key(str(path)))
    return MarkedPart(home, tuple(order), tuple(found[path] for path in order), left_out, tally=tally)


def _is_document(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    try:
        content = read_regular(path, coco.LARGEST)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    encoding = find_encoding(content)
    if encoding != UTF8:  # refused where it is read, with a reason
        content = content.decode(encoding, "replace").encode("utf-8", "replace")
    if all(key in content for key in (b'"images"', b'"annotations"', b'"categories"')):
        return True
    return b'"images"' in content and _is_cut_off(content)


def _is_cut_off(content: bytes) -> bool:
    """Tell whether a document lacks its end, and with it, perhaps, keys by which it is known."""
    try:
        read_json(content.decode(UTF8, "replace").removeprefix(MARK))
    except CutOffError:
        return True
    except ValueError:
        pass  # no JSON, such as settings with comments or a log of a document a line: somebody else's
    return False


def _part_of(stem: str) -> Part:
    words = set(re.split(r"[^a-z]+", stem.lower()))
    return next((part for part, spellings in PARTS.items() if words & set(spellings)), "all")


def _common_end(path: Path, told: Sequence[str]) -> int:
    own = with_slashes(normalized(str(path))).split("/")
    return next(_differences(own[-2::-1], told[-2::-1]), min(len(own), len(told)))


def _differences(one: Sequence[str], other: Sequence[str]) -> Iterator[int]:
    return (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def _is_in(path: Path, part: Part) -> bool:
    return part != "all" and any(_part_of(name) == part for name in path.parts[:-1])
