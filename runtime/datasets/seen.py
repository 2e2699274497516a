"""Which pictures of a folder a model was trained on, by what its weights say."""

import hashlib
from collections.abc import Iterable, Sequence

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures, training_home
from edgevit.runtime.datasets.parts import Part


def are_seen(folder: PictureFolder, record: HeldOut | None) -> dict[Part, tuple[bool | None, ...]] | None:
    """Return for each part which of its pictures the weights were trained on; None where that cannot be known.

    It is known if the record is there, and the pictures that it remembers lie in the folder, or in the part train
    beside it if the folder is val or test itself. A picture that was moved to another part after training is known by
    its path below the part. Where all of a large train/ was trained on, only those are known that the record remembers.
    """
    if record is None:
        return None
    homes = (home for home in (training_home(folder.root), folder.home) if home is not None)
    return next((seen for home in homes if (seen := _are_seen(folder, home, record)) is not None), None)


def combine(votes: Iterable[bool | None]) -> bool | None:
    """Return whether some model was trained on a picture; None if one may have been, or there is none."""
    votes = list(votes)
    return True if any(votes) else None if None in votes or not votes else False


def _are_seen(folder: PictureFolder, home: Pictures, record: HeldOut) -> dict[Part, tuple[bool | None, ...]] | None:
    """Return the same for a training on `home`, from which pictures may have been moved to other parts since."""
    learnt = _learnt(map(path_hash, home.names), record)
    found = find_remembered(record, home).union(*(find_remembered(record, one) for one in folder.parts.values()))
    if not found or 2 * len(found) < len(record.sample):
        return None
    at_home, missing = frozenset(map(path_hash, home.names)), record.trained - len(learnt)
    return {
        part: tuple(path_hash(name) in learnt for name in pictures.names)
        if pictures is home
        else _were_moved(pictures, record, at_home, missing)
        for part, pictures in folder.parts.items()
    }


def _were_moved(pictures: Pictures, record: HeldOut, at_home: frozenset[str], missing: int) -> tuple[bool | None, ...]:
    """Return which pictures of a part were trained on before they were moved there.

    Args:
        pictures: the part.
        record: the training's.
        at_home: hashes of what lies where was trained: another picture of that name is a new one.
        missing: how many pictures that were trained on lie there no more.
    """
    digests = list(map(path_hash, pictures.names))
    moved, elsewhere = find_remembered(record, pictures) - at_home, frozenset(record.elsewhere)
    maybe = _learnt(digests, record) - at_home - moved
    if len(record.sample) == record.trained:  # every picture is remembered
        maybe = frozenset()
    elif record.split == "hash" and (moved or len(maybe) <= missing):
        moved, maybe = moved | maybe, frozenset()
    elif not moved:
        maybe = frozenset()
    return tuple(digest in moved | elsewhere or (None if digest in maybe else False) for digest in digests)


def find_remembered(record: HeldOut, pictures: Pictures) -> frozenset[str]:
    """Return the hashes of the remembered pictures that are there, at their path and with their size."""
    remembered = dict(record.sample)
    there = {
        digest: path
        for name, path in zip(pictures.names, pictures.paths, strict=True)
        if (digest := path_hash(name)) in remembered
    }
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
