"""What a site offers a board: the newest model, for which share of the boards, and what the others keep."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from edgevit.errors import UpdateError
from edgevit.runtime.update.state import Release
from edgevit.schema import FieldError, Range, read_value

LARGEST = 1 << 30
"""Bytes of a model that a board takes, at most."""


@dataclass(frozen=True)
class Edition(Release):
    """A model that can be fetched."""

    length: Annotated[int, Range(1)]
    """Bytes."""


@dataclass(frozen=True)
class Offer:
    """What a channel says of one target."""

    newest: Edition
    percent: Annotated[int, Range(1, 100)]
    """Share of the boards that take it."""
    before: Edition | None = None
    """What the other boards keep; None if there was nothing."""

    def wanted(self, board: str) -> Edition | None:
        """Return what a board should run; None if it is to keep what it has."""
        return self.newest if takes_part(board, self.newest.sha256, self.percent) else self.before


def check_length(length: int, largest: int) -> None:
    """Raise UpdateError for a model of more bytes than a board takes."""
    if length > largest:
        raise UpdateError(f"the model has {length:,} bytes, more than the {largest:,} that a board takes")


def takes_part(board: str, sha256: str, percent: int) -> bool:
    """Tell whether a board is among so many percent that take a model: a board that is stays when there are more."""
    return int(hashlib.sha256(f"{board}:{sha256}".encode()).hexdigest()[:8], 16) % 100 < percent


def read_offer(target: str, sha256: str | None, length: int, custom: Any) -> Offer:
    """Return what the signed entry of a target says.

    Args:
        target: its path, for messages.
        sha256: of the file.
        length: of the file in bytes.
        custom: the field of this name: version, percent, and "before" unless all boards take it.

    Raises:
        UpdateError: edgevit did not write the entry.
    """
    try:
        fields = read_value(Mapping[str, Any], custom, "custom")
        newest = read_value(Edition, {"version": fields.get("version"), "sha256": sha256, "length": length}, "entry")
        offer = read_value(Offer, {**fields, "newest": newest}, "custom")
    except FieldError as error:
        raise UpdateError(f"the site's entry of {target}: {error}; publish it with `edgevit fleet publish`") from error
    assert isinstance(offer, Offer)
    return offer
