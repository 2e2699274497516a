"""Which pictures of a folder are held out from training.

The rule is a pure function of a picture's path and a share, so that it holds when pictures are added: a picture is held
out if the hash of its path is below the share. Where that would hold out none or all of a class's pictures, the nearest
one changes sides; these exceptions are recorded with the weights, and so the rule stays exact for them, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures
from edgevit.runtime.datasets.seen import are_seen, choose_unseen, combine, is_held_out, path_hash, unit

FRACTION = 0.1
"""Share held out where nobody says another."""
SAMPLE = 64
"""Trained pictures that the record remembers, by which a folder is known again, and what was moved within it."""


@dataclass(frozen=True)
class Split:
    """What to train on, and what to judge by."""

    train: Pictures
    held_out: Pictures
    record: HeldOut
    notes: tuple[str, ...] = ()
    """What is otherwise than was asked for, in sentences."""


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
    known = [seen for record in started_from if (seen := are_seen(folder, record)) is not None]
    before = {
        part: tuple(combine([False, *(seen[part][i] for seen in known)]) for i in range(len(pictures.paths)))
        for part, pictures in folder.parts.items()
    }
    elsewhere = [
        path_hash(name)
        for part, pictures in folder.parts.items()
        if pictures is not home
        for name, was in zip(pictures.names, before[part], strict=True)
        if was
    ]
    if "val" in folder.parts:
        unseen, notes = choose_unseen(folder.parts["val"], before["val"])
        held = folder.parts["val"].subset(unseen)
        if maybe := before["val"].count(None):
            notes = (*notes, f"{maybe:,} of the others may have been, too: some were moved there from {home.home}")
        return Split(home, held, _record("folder", home, held, elsewhere=elsewhere), notes)
    asked = find_exceptions(home.names, home.classes, fraction)
    wanted = [is_held_out(name, fraction, asked) for name in home.names]
    at_home = before["train" if "train" in before else "all"]
    changed = {path_hash(home.names[i]) for i, was in enumerate(at_home) if was and wanted[i]}
    exceptions = asked ^ changed
    out = [is_held_out(name, fraction, exceptions) for name in home.names]
    train, held = (home.subset([i for i, is_out in enumerate(out) if is_out is kept]) for kept in (False, True))
    notes = () if not changed else (_say_fewer(len(held.paths), sum(wanted)),)
    return Split(train, held, _record("hash", train, held, fraction, tuple(sorted(exceptions)), elsewhere), notes)


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


def _say_fewer(held: int, wanted: int) -> str:
    return (
        f"{held:,} images are held out, not {wanted:,} as --val-fraction says: on the others the weights to start from "
        "were trained"
    )


def _record(
    split: Literal["folder", "hash"],
    train: Pictures,
    held_out: Pictures,
    fraction: float = 0.0,
    exceptions: tuple[str, ...] = (),
    elsewhere: Iterable[str] = (),
) -> HeldOut:
    paths = {path_hash(name): path for name, path in zip(train.names, train.paths, strict=True)}
    sample = tuple(
        (digest, paths[digest].stat().st_size) for digest in sorted(paths)[:SAMPLE] if paths[digest].is_file()
    )
    told = tuple(sorted(set(elsewhere)))
    return HeldOut(split, len(held_out.paths), len(train.paths), fraction, exceptions, sample, told)
