"""Which pictures of a folder a model was trained on, by what its weights say."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures, training_home
from edgevit.runtime.datasets.listing import normalized, with_slashes
from edgevit.runtime.datasets.parts import PARTS, Part

Naming = Callable[[Pictures], tuple[str, ...]]
"""Pictures to the names by which a record may know them."""


def are_seen(folder: PictureFolder, record: HeldOut | None) -> dict[Part, tuple[bool | None, ...]] | None:
    """Return for each part which of its pictures the weights were trained on; None where that cannot be known.

    It is known if the record is there, and the pictures that it remembers lie in the folder, or in the part train
    beside it if the folder is val or test itself. A picture that was moved to another part after training is known by
    its path below the part, or below the folder but for the part: images/1.jpg in images/val/1.jpg. Where all of a
    large train/ was trained on, only those are known that the record remembers.
    """
    if record is None:
        return None
    unparted = {id(pictures): _names_without(part, pictures, folder.root) for part, pictures in folder.parts.items()}
    ways: list[tuple[Pictures | None, Naming]] = [
        (training_home(folder.root), lambda pictures: pictures.names),
        (folder.home, lambda pictures: pictures.names),
        (folder.home, lambda pictures: unparted[id(pictures)]),
    ]
    found = (_are_seen(folder, home, record, naming) for home, naming in ways if home is not None)
    return next((seen for seen in found if seen is not None), None)


def _names_without(part: Part, pictures: Pictures, root: Path) -> tuple[str, ...]:
    """Return the pictures' paths from the folder as they were before it had the part."""
    start = os.path.join(root, "")
    words = [with_slashes(normalized(str(path).removeprefix(start))).split("/") for path in pictures.paths]
    for one in words:
        if place := next((word for word in one if word in PARTS.get(part, ())), None):
            one.remove(place)
    return tuple("/".join(one) for one in words)


def combine(votes: Iterable[bool | None]) -> bool | None:
    """Return whether some model was trained on a picture; None if one may have been, or there is none."""
    votes = list(votes)
    return True if any(votes) else None if None in votes or not votes else False


def _are_seen(
    folder: PictureFolder, home: Pictures, record: HeldOut, naming: Naming
) -> dict[Part, tuple[bool | None, ...]] | None:
    """Return the same for a training on `home`, from which pictures may have been moved to other parts since."""
    digests = {part: tuple(map(path_hash, naming(pictures))) for part, pictures in folder.parts.items()}
    here = {part: find_remembered(record, digests[part], pictures.paths) for part, pictures in folder.parts.items()}
    at_home = frozenset(map(path_hash, naming(home)))
    found = find_remembered(record, map(path_hash, naming(home)), home.paths).union(*here.values())
    if not found or 2 * len(found) < len(record.sample):
        return None
    learnt = _learnt(at_home, record)
    missing = record.trained - len(learnt)
    return {
        part: tuple(digest in learnt for digest in digests[part])
        if pictures is home
        else _were_moved(digests[part], here[part] - at_home, record, at_home, missing)
        for part, pictures in folder.parts.items()
    }


def _were_moved(
    digests: Sequence[str], moved: frozenset[str], record: HeldOut, at_home: frozenset[str], missing: int
) -> tuple[bool | None, ...]:
    """Return which pictures of a part were trained on before they were moved there.

    Args:
        digests: hashes of the part's pictures.
        moved: of those that the record remembers, and that lie there now.
        record: the training's.
        at_home: hashes of what lies where was trained: another picture of that name is a new one.
        missing: how many pictures that were trained on lie there no more.
    """
    # what the training's rule would have trained on, had it lain there; a folder's takes all
    suspects, is_rule = _learnt(digests, record) - at_home - moved, record.split == "hash"
    is_likely = bool(moved) or (is_rule and len(suspects) <= missing)
    # they are new ones where no sign tells that some were moved, or where the record remembers every picture
    if not is_likely or len(record.sample) == record.trained:
        suspects = frozenset()
    known = moved.union(record.elsewhere, suspects if is_rule else ())
    return tuple(digest in known or (None if digest in suspects else False) for digest in digests)


def find_remembered(record: HeldOut, digests: Iterable[str], paths: Iterable[Path]) -> frozenset[str]:
    """Return the hashes of the remembered pictures that are there, at their path and with their size."""
    remembered = dict(record.sample)
    there = {digest: path for digest, path in zip(digests, paths, strict=True) if digest in remembered}
    return frozenset(
        digest for digest, path in there.items() if path.is_file() and path.stat().st_size == remembered[digest]
    )


def choose_unseen(pictures: Pictures, seen: Sequence[bool | None]) -> tuple[list[int], tuple[str, ...]]:
    """Return which pictures of a part may judge, and a sentence on those left out because they were trained on.

    Raises:
        DataError: all of them were.
    """
    unseen = [i for i, was in enumerate(seen) if not was]
    gone = len(seen) - len(unseen)
    if gone and not unseen:
        raise DataError(
            f"all {gone:,} pictures of {pictures.home} were trained on before; put others there to judge by"
        )
    if not gone:
        return unseen, ()
    return unseen, (f"{gone:,} of {len(seen):,} pictures of {pictures.home} were trained on before, and do not judge",)


def is_held_out(name: str, fraction: float, exceptions: frozenset[str]) -> bool:
    """Tell whether the picture of this path (see Pictures.names) is held out."""
    return _is_out(path_hash(name), fraction, exceptions)


def path_hash(name: str) -> str:
    """Return 16 hexadecimal digits that depend on nothing but the text."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def unit(digest: str) -> float:
    """Return the number in 0..1 that a path_hash stands for."""
    return int(digest, 16) / 2**64


def _is_out(digest: str, fraction: float, exceptions: frozenset[str]) -> bool:
    return (unit(digest) < fraction) != (digest in exceptions)


def _learnt(digests: Iterable[str], record: HeldOut) -> frozenset[str]:
    """Return the hashes of the pictures that were trained on if they lay where was trained."""
    if record.split == "folder":
        return frozenset(digests)
    exceptions = frozenset(record.exceptions)
    return frozenset(digest for digest in digests if not _is_out(digest, record.fraction, exceptions))
