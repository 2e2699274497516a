"""Which pictures of a folder models are judged on: those that none was trained on, as far as that is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from edgevit.artifact.manifest import HeldOut
from edgevit.errors import OptionError
from edgevit.runtime.datasets.folder import PictureFolder, Pictures
from edgevit.runtime.datasets.seen import are_seen, choose_unseen, combine
from edgevit.schema import Seed, check_argument


@dataclass(frozen=True)
class Judged:
    """Pictures to judge models on."""

    pictures: Pictures
    seen: tuple[bool | None, ...]
    """For each picture, whether some model was trained on it; None where that cannot be known."""
    of: int
    """How many pictures the folder holds in all."""
    doubts: tuple[str, ...] = ()
    """Why it cannot be known, a sentence for each model."""
    notes: tuple[str, ...] = ()
    """What was left out, in sentences."""

    @property
    def trained_on(self) -> int | None:
        """How many of the pictures some model was trained on; None where that cannot be known of one of them."""
        return None if None in self.seen else sum(map(bool, self.seen))

    def __str__(self) -> str:
        """Return which pictures they are, such as "42 pictures that were not trained on"."""
        count = len(self.seen)
        pictures = f"{count:,} picture{'' if count == 1 else 's'}"
        if self.trained_on is None:
            return f"{pictures} that may have been trained on"
        if not self.trained_on:
            return f"{pictures} that were not trained on"
        return f"{pictures}, {self.trained_on:,} of which were trained on"

    def draw(self, limit: int | None, seed: int = 0) -> "Judged":
        """Return `limit` of the pictures, drawn at random, in their order; None for all.

        Raises:
            OptionError: the limit is not a positive number, or the seed is none.
        """
        seed = check_argument(Seed, seed, "seed")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise OptionError(f"--limit is {limit!r}, expected a whole number, 1 or more")
        count = len(self.seen)
        if limit is None or limit >= count:
            return self
        return self.subset(sorted(int(i) for i in np.random.default_rng(seed).permutation(count)[:limit]))

    def subset(self, indices: Sequence[int]) -> "Judged":
        """Return some of the pictures."""
        return replace(self, pictures=self.pictures.subset(indices), seen=tuple(self.seen[i] for i in indices))


def choose_judged(
    folder: PictureFolder, records: Sequence[tuple[str, HeldOut | None]] = (), *, every: bool = False
) -> Judged:
    """Return the pictures to judge models on: the part val, else test, else what no model was trained on.

    Args:
        folder: as read_folder reads it.
        records: each model's name, and what its weights say of their training.
        every: take all pictures of all parts.

    Raises:
        DataError: some model was trained on every picture of the part.
    """
    known = {name: are_seen(folder, record) for name, record in records}
    doubts = tuple(
        f"{name} does not say which pictures it was trained on"
        if dict(records)[name] is None
        else f"{name} was trained on other pictures than those of {folder.root}, or they have changed since"
        for name, seen in known.items()
        if seen is None or any(None in part for part in seen.values())
    )

    def judged(pictures: Pictures) -> Judged:
        part = next(part for part, found in folder.parts.items() if found is pictures)
        votes = [(None,) * len(pictures.paths) if seen is None else seen[part] for seen in known.values()]
        combined = tuple(combine(vote[i] for vote in votes) for i in range(len(pictures.paths)))
        return Judged(pictures, combined, folder.images, doubts)

    if every:
        parts = [judged(pictures) for pictures in folder.parts.values()]
        return replace(parts[0], pictures=_join(folder), seen=tuple(one for part in parts for one in part.seen))
    if folder.held_out is not None:
        part = judged(folder.held_out)
        chosen, notes = choose_unseen(part.pictures, part.seen)
        return replace(part.subset(chosen), notes=notes)
    assert folder.home is not None
    whole = judged(folder.home)
    unseen = [i for i, seen in enumerate(whole.seen) if not seen]
    return whole.subset(unseen) if unseen else whole


def _join(folder: PictureFolder) -> Pictures:
    """Return the pictures of all parts, each known by its place in the folder."""
    parts = list(folder.parts.values())
    classes = [part.classes for part in parts if part.classes is not None]
    masks = [part.masks for part in parts if part.masks is not None]
    boxes = [part.boxes for part in parts if part.boxes is not None]
    return Pictures(
        folder.root,
        tuple(path for part in parts for path in part.paths),
        tuple(chain(*classes)) if len(classes) == len(parts) else None,
        tuple(chain(*masks)) if len(masks) == len(parts) else None,
        next((part.mask_names for part in parts if part.mask_names), ()),
        tuple(chain(*boxes)) if len(boxes) == len(parts) else None,
        next((part.box_names for part in parts if part.box_names), ()),
    )
