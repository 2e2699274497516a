"""Which pictures of a folder are held out from training, and which a trained model has seen.

The rule is a pure function of a picture's path and a share, so that it holds when pictures are added: a picture is held
out if the hash of its path is below the share. Where that would hold out none or all of a class's pictures, the nearest
one changes sides; these exceptions are recorded with the weights, and so the rule stays exact for them, too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures, training_home
from edgevit.runtime.datasets.parts import Part

FRACTION = 0.1
"""Share held out where nobody says another."""
SAMPLE = 16
"""Trained pictures that the record remembers, by which a folder is known again."""


@dataclass(frozen=True)
class Split:
    """What to train on, and what to judge by."""

    train: Pictures
    held_out: Pictures
    record: HeldOut


def split_folder(folder: PictureFolder, fraction: float, started_from: Sequence[HeldOut] = ()) -> Split:
    """Hold out the part val if it is there, else a share of the pictures; a part test stays out of both.

    Args:
        folder: as read_folder reads it.
        fraction: the share.
        started_from: what was held out from the weights that training starts from; what they have seen is no share of
            it.

    Raises:
        DataError: the folder has a part val or test, but no train.
    """
    home = folder.home
    if home is None:
        raise DataError(f"{folder.root} holds {' and '.join(folder.parts)} but no train; put the other images there")
    if "val" in folder.parts:
        held = folder.parts["val"]
        return Split(home, held, _record("folder", home, held, 0.0, ()))
    exceptions = find_exceptions(home.names, home.classes, fraction)
    for record in started_from:
        seen = are_seen(folder, record) or {}
        before = zip(home.names, seen.get("train") or seen.get("all") or (), strict=False)
        exceptions ^= {path_hash(name) for name, was in before if was and is_held_out(name, fraction, exceptions)}
    out = [is_held_out(name, fraction, exceptions) for name in home.names]
    train, held = (home.subset([i for i, is_out in enumerate(out) if is_out is wanted]) for wanted in (False, True))
    return Split(train, held, _record("hash", train, held, fraction, tuple(sorted(exceptions))))


def find_exceptions(names: Sequence[str], classes: Sequence[str] | None, fraction: float) -> frozenset[str]:
    """Return the hashes of the pictures that change sides, so that each class with two or more has some on both."""
    members = defaultdict(list)
    for i, name in enumerate(names):
        members["" if classes is None else classes[i]].append(path_hash(name))
    changed = []
    for hashes in members.values():
        hashes.sort()
        held = sum(unit(one) < fraction for one in hashes)
        if held == 0 and len(hashes) > 1:
            changed.append(hashes[0])
        elif held == len(hashes):
            changed.append(hashes[-1])
    return frozenset(changed)


def is_held_out(name: str, fraction: float, exceptions: frozenset[str]) -> bool:
    """Tell whether the picture of this path (see Pictures.names) is held out."""
    digest = path_hash(name)
    return (unit(digest) < fraction) != (digest in exceptions)


def path_hash(name: str) -> str:
    """Return 16 hexadecimal digits that depend on nothing but the text."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def unit(digest: str) -> float:
    """Return the number in 0..1 that a path_hash stands for."""
    return int(digest, 16) / 2**64


def are_seen(folder: PictureFolder, record: HeldOut | None) -> dict[Part, tuple[bool, ...]] | None:
    """Return for each part which of its pictures the weights were trained on; None where that cannot be known.

    It is known if the record is there, and the pictures that it remembers lie in the folder, or in the part train
    beside it if the folder is val or test itself.
    """
    if record is None:
        return None
    beside = training_home(folder.root)
    if beside is not None and knows(record, beside):
        return {part: (False,) * len(pictures.paths) for part, pictures in folder.parts.items()}
    home = folder.home
    if home is None or not knows(record, home):
        return None
    exceptions = frozenset(record.exceptions)

    def is_seen(name: str) -> bool:
        return record.split == "folder" or not is_held_out(name, record.fraction, exceptions)

    return {
        part: tuple(pictures is home and is_seen(name) for name in pictures.names)
        for part, pictures in folder.parts.items()
    }


def knows(record: HeldOut, home: Pictures) -> bool:
    """Tell whether at least half of the remembered pictures lie in a folder, at their path and with their size."""
    remembered = dict(record.sample)
    there = {
        digest: path
        for name, path in zip(home.names, home.paths, strict=True)
        if (digest := path_hash(name)) in remembered
    }
    found = sum(path.is_file() and path.stat().st_size == remembered[digest] for digest, path in there.items())
    return found > 0 and 2 * found >= len(remembered)


def _record(
    split: Literal["folder", "hash"], train: Pictures, held_out: Pictures, fraction: float, exceptions: tuple[str, ...]
) -> HeldOut:
    paths = {path_hash(name): path for name, path in zip(train.names, train.paths, strict=True)}
    sample = tuple(
        (digest, paths[digest].stat().st_size) for digest in sorted(paths)[:SAMPLE] if paths[digest].is_file()
    )
    return HeldOut(split, len(held_out.paths), len(train.paths), fraction, exceptions, sample)
