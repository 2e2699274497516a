"""A release: which bytes a channel gives the boards under a name, for how many of them, and what it gave before."""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any

from tuf.api.metadata import TargetFile

from edgevit.errors import SiteError
from edgevit.schema import FieldError, Range, read_value

MOST_EARLIER = 9
"""Earlier models that a release remembers."""


@dataclass(frozen=True)
class Edition:
    """One model file that was released."""

    sha256: str
    version: int
    length: int
    """Bytes."""


@dataclass(frozen=True)
class Release:
    """One model of a channel as it stands."""

    path: str
    """"stable/farm.onnx"."""
    edition: Edition
    """Its version grows with each release of this path, also one of older bytes."""
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
    def from_target(cls, target: TargetFile) -> "Release":
        """Read an entry whose signature was checked.

        Raises:
            SiteError: edgevit did not write it.
        """
        try:
            custom = read_value(_Custom, target.custom, f"{target.path}: custom")
            sha256 = read_value(str, target.hashes.get("sha256"), f"{target.path}: sha256")
        except FieldError as error:
            raise SiteError(f"the entry of {error}; publish the model under another name") from error
        edition = Edition(sha256, custom.version, target.length)
        return cls(target.path, edition, custom.percent, custom.earlier)


@dataclass(frozen=True)
class _Custom:
    version: Annotated[int, Range(1)]
    percent: Annotated[int, Range(1, 100)]
    earlier: tuple[Edition, ...] = field(default=())


def next_release(path: str, sha256: str, length: int, percent: int, now: Release | None) -> Release:
    """Return the release that follows `now`, which is None for a path's first."""
    if now is None:
        return Release(path, Edition(sha256, 1, length), percent)
    edition = Edition(sha256, now.edition.version + 1, length)
    # what only some boards had is nothing to go back to, and the same bytes are no step
    is_step = now.percent == 100 and now.edition.sha256 != sha256
    earlier = ((now.edition,) if is_step else ()) + now.earlier
    return Release(path, edition, percent, earlier[:MOST_EARLIER])
