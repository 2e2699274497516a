"""What a run learns from: the pictures as they are listed, and then those of them that can be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.models.weights.trained import lacks_record, read_training_facts
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.listing import list_pictures, no_pictures
from edgevit.runtime.datasets.masks import CLASSES_FILE, IGNORED
from edgevit.runtime.datasets.parts import identify
from edgevit.runtime.datasets.split import split_folder
from edgevit.training.batches import UNLABELLED
from edgevit.training.folders import Samples
from edgevit.training.kinds import Kind, LearningSet

MOST_COUNTED = 20
"""Classes whose images or boxes are counted in a line; the page has all."""


@dataclass(frozen=True)
class Listing:
    """The pictures that were found; none was read."""

    train: LearningSet
    val: LearningSet
    held_out: HeldOut
    """Which pictures are not trained on."""
    notes: tuple[str, ...]
    """What was left out, in sentences."""


@dataclass(frozen=True)
class Data:
    """The readable pictures."""

    train: LearningSet
    val: LearningSet
    held_out: HeldOut
    """Which pictures are not trained on."""
    skipped: tuple[str, ...] = ()
    """Why each unreadable file was left out."""


def list_data(
    kind: Kind, data: Path, val_fraction: float, started_from: Sequence[Path] = (), unlabelled: Path | None = None
) -> Listing:
    """List the pictures of a folder, and hold some out.

    Args:
        kind: what there is to learn of them.
        data: the folder.
        val_fraction: the share that is held out where the folder has no part for that.
        started_from: files of weights; no picture that they were trained on is held out, where they say so.
        unlabelled: a folder of more pictures to train on, without a class.

    Raises:
        DataError: one of them is no folder, or holds too few pictures, or a picture without a class is held out, too.
    """
    folder = read_folder(data, kind.layout)
    before = [path for path in started_from if path.is_file()]
    known = [facts.held_out for path in before if (facts := read_training_facts(path))]
    split = split_folder(folder, val_fraction, [record for record in known if record])
    notes = (*folder.notes(), *split.notes, *(_say_unknown(path) for path in before if lacks_record(path)))
    train, val = kind.samples(data, split)
    if len(train.paths) < 2:
        raise DataError(f"{data}: {len(train.paths)} image to train with; add more")
    if unlabelled is None:
        return Listing(train, val, split.record, notes)
    assert isinstance(train, Samples)
    held_out = (path for part, pictures in folder.parts.items() if part in ("val", "test") for path in pictures.paths)
    paths, more = _list_unlabelled(unlabelled, (*val.paths, *held_out))
    return Listing(train.with_unlabelled(paths), val, split.record, (*notes, *more))


def _say_unknown(path: Path) -> str:
    return (
        f"warning: {path} does not say which images it was trained on: where some of those held out are among them, "
        "the accuracy is too good"
    )


def _list_unlabelled(home: Path, held_out: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the pictures of a folder, none of which may be held out, and a note on what was left out."""
    listing = list_pictures(home)
    if not listing.paths:
        raise DataError(f"--unlabelled: {no_pictures(home)}")
    kept_back = set(map(identify, held_out))
    if seen := [path for path in listing.paths if identify(path) in kept_back]:
        raise DataError(
            f"--unlabelled {home} holds {seen[0]}, which is held out to judge by; give a folder of other images"
        )
    return listing.paths, (f"{home}: {listing.left_out}",) if str(listing.left_out) else ()


def read_data(listing: Listing, kind: Kind, workers: int, say: Callable[[str], None], *, balance: bool) -> Data:
    """Read every picture once, leave out those that cannot be read, and say what there is.

    Raises:
        DataError: none of a class, or none of those held out, can be read.
    """
    for note in listing.notes:
        say(note)
    say(f"checking {len(listing.train.paths) + len(listing.val.paths):,} images")
    train, bad_train = kind.check(listing.train, workers)
    for name, before, after in zip(listing.train.classes, listing.train.counts(), train.counts(), strict=False):
        if before and not after:
            raise DataError(
                f"class {name}: none of its {before} {kind.unit} can be read ({bad_train[0]}); replace them"
            )
    val, bad_val = kind.check(listing.val, workers)
    skipped = bad_train + bad_val
    for reason in skipped[:5]:
        say(f"skipped: {reason}")
    if len(skipped) > 5:
        say(f"skipped: {len(skipped) - 5} more; {len(skipped)} in all")
    counts = train.counts()
    classes = f"{len(counts)} class{'' if len(counts) == 1 else 'es'}"
    unlabelled = count_unlabelled(train)
    without = f", {unlabelled:,} of them without a class" if unlabelled else ""
    say(f"{classes}, {len(train.paths):,} images to train{without}, {len(val.paths):,} held out")
    if kind.unit != "pixels" and len(counts) <= MOST_COUNTED:
        numbers = (f"{name} {count:,}" for name, count in zip(train.classes, counts, strict=True))
        say(f"{kind.unit} to train: {', '.join(numbers)}")
    if absent := [name for name, count in zip(train.classes, counts, strict=True) if not count]:
        say(f"nothing of {', '.join(absent)} is there to train on, so that it will not be found; add images")
    if absent := [name for name, count in zip(val.classes, val.counts(), strict=True) if not count]:
        say(f"nothing of {', '.join(absent)} is held out, so its accuracy will not be known; add images")
    known = [count for count in counts if count]
    if kind.balances and known and max(known) > 3 * min(known) and not balance:
        few, many = (train.classes[counts.index(count)] for count in (min(known), max(known)))
        say(f"{many} has {max(known):,} {kind.unit}, {few} only {min(known):,}; consider --balance")
    if len(train.paths) < 2:
        raise DataError(f"{len(train.paths)} image to train with can be read ({bad_train[0]}); replace the others")
    if not val.paths:
        raise DataError(f"none of the images held out can be read ({bad_val[0]}); replace them")
    if kind.unit == "pixels":
        _check_pixels(train, val)
    return Data(train, val, listing.held_out, skipped)


def _check_pixels(train: LearningSet, val: LearningSet) -> None:
    """Raise DataError unless masks tell two classes apart, and there are pixels to judge by."""
    known = [name for name, count in zip(train.classes, train.counts(), strict=True) if count]
    hint = f"{IGNORED} in a mask is no class: where it means one, write that class's number from {CLASSES_FILE}"
    if len(known) < 2:
        raise DataError(f"the masks to train on have {' '.join(known) or 'no class'} in all their pixels; {hint}")
    if not any(val.counts()):
        raise DataError(f"the masks held out have no class in all their pixels; {hint}")


def count_unlabelled(train: LearningSet) -> int:
    """Return how many of the pictures have no class."""
    return train.labels.count(UNLABELLED) if isinstance(train, Samples) else 0
