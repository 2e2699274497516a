"""What a run learns from: the pictures as they are listed, and then those of them that can be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import DataError
from edgevit.models.weights.trained import read_training_facts
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.split import split_folder
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


def list_data(kind: Kind, data: Path, val_fraction: float, started_from: Sequence[Path] = ()) -> Listing:
    """List the pictures of a folder, and hold some out.

    No picture that the weights in the files `started_from` were trained on is held out, where they say so.

    Raises:
        DataError: it is no folder, or holds too few pictures.
    """
    folder = read_folder(data, kind.layout)
    before = [read_training_facts(path) for path in started_from if path.is_file()]
    records = [facts.held_out for facts in before if facts is not None and facts.held_out is not None]
    split = split_folder(folder, val_fraction, records)
    train, val = kind.samples(data, split)
    if len(train.paths) < 2:
        raise DataError(f"{data}: {len(train.paths)} image to train with; add more")
    return Listing(train, val, split.record, tuple(folder.notes()))


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
    say(f"{classes}, {len(train.paths):,} images to train, {len(val.paths):,} held out")
    if kind.unit != "pixels" and len(counts) <= MOST_COUNTED:
        numbers = (f"{name} {count:,}" for name, count in zip(train.classes, counts, strict=True))
        say(f"{kind.unit} to train: {', '.join(numbers)}")
    if absent := [name for name, count in zip(val.classes, val.counts(), strict=True) if not count]:
        say(f"nothing of {', '.join(absent)} is held out, so its accuracy will not be known; add images")
    if kind.balances and max(counts) > 3 * min(counts) and not balance:
        few, many = (train.classes[counts.index(count)] for count in (min(counts), max(counts)))
        say(f"{many} has {max(counts):,} {kind.unit}, {few} only {min(counts):,}; consider --balance")
    if len(train.paths) < 2:
        raise DataError(f"{len(train.paths)} image to train with can be read ({bad_train[0]}); replace the others")
    if not val.paths:
        raise DataError(f"none of the images held out can be read ({bad_val[0]}); replace them")
    return Data(train, val, listing.held_out, skipped)
