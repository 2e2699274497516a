"""A rollout: which bytes a channel gives the boards under a name, for how many of them, and what it gave before."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import TargetFile

from edgevit.errors import UpdateError
from edgevit.runtime.update.offer import Edition, read_offer
from edgevit.schema import FieldError, read_value

MOST_EARLIER = 9
"""Earlier models that a rollout remembers."""


@dataclass(frozen=True)
class Rollout:
    """One model of a channel as it stands."""

    path: str
    """"stable/farm.onnx"."""
    edition: Edition
    """Its version grows with each rollout of this path, also one of older bytes."""
    percent: int = 100
    """Share of the boards that take it; the others keep the newest of `earlier`."""
    earlier: tuple[Edition, ...] = ()
    """What all boards had before, newest first: what a rollback goes back to."""

    @property
    def before(self) -> Edition | None:
        """What the boards have that do not take part; None if all do, or there was nothing."""
        return self.earlier[0] if self.percent < 100 and self.earlier else None

    def to_target(self) -> TargetFile:
        """Return the entry to be signed."""
        custom: dict[str, Any] = {"version": self.edition.version, "percent": self.percent}
        if self.before is not None:
            custom["before"] = dataclasses.asdict(self.before)
        custom["earlier"] = [dataclasses.asdict(edition) for edition in self.earlier]
        hashes = {"sha256": self.edition.sha256}
        return TargetFile(self.edition.length, hashes, self.path, {"custom": custom})

    @classmethod
    def from_target(cls, target: TargetFile) -> "Rollout":
        """Read an entry whose signature was checked.

        Raises:
            UpdateError: edgevit did not write it.
        """
        offer = read_offer(target.path, target.hashes.get("sha256"), target.length, target.custom)
        try:
            earlier = read_value(tuple[Edition, ...], target.custom.get("earlier", ()), "custom.earlier")
        except FieldError as error:
            raise UpdateError(f"the site's entry of {target.path}: {error}; publish it under another name") from error
        return cls(target.path, offer.newest, offer.percent, earlier)


def next_rollout(path: str, sha256: str, length: int, percent: int, now: Rollout | None) -> Rollout:
    """Return the rollout that follows `now`, which is None for a path's first."""
    if now is None:
        return Rollout(path, Edition(1, sha256, length), percent)
    edition = Edition(now.edition.version + 1, sha256, length)
    # what only some boards had is nothing to go back to
    earlier = ((now.edition,) if now.percent == 100 else ()) + now.earlier
    return Rollout(path, edition, percent, earlier[:MOST_EARLIER])
