"""What a board has seen already, kept apart from the signed documents and flushed: below it nothing is believed.

The Update Framework refuses an older document by comparing it with the newest that it has stored; where those files are
empty after a power cut, an old site would be accepted. The same holds for the clock: with the year 1970 nothing has
expired.
"""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgevit.errors import UpdateError
from edgevit.schema import FieldError, read_json, read_value
from edgevit.system.files import replacing

BUILT_S = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC).timestamp()
"""No board runs this before: a day on which this package was worked on, as Unix time."""
DAY_S = 86400.0


@dataclass(frozen=True)
class Floor:
    """The least that may come."""

    seen_s: float = BUILT_S
    """The latest time at which the site's documents were valid, as Unix time."""
    root: int = 0
    """Version of the newest document of keys."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Name of a signed document, such as "timestamp" or "stable", to its newest version."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which keys signed the timestamp and the snapshot."""

    def time_s(self, now_s: float) -> float:
        """Return what time it is at least: without a battery, a board starts in 1970, or where it was switched off."""
        return max(now_s, self.seen_s, BUILT_S)

    def raised(self, found: "Floor") -> "Floor":
        """Return the floor after a site was found to be valid.

        Where the keys of the timestamp or of the snapshot were replaced, versions begin anew: whoever had stolen one
        could have signed a version that can never be surpassed.

        Raises:
            UpdateError: the site is older than one that was seen.
        """
        if found.root < self.root:
            raise _older("root", found.root, self.root)
        same_keys = found.keys == self.keys
        for name, version in self.versions.items() if same_keys else ():
            if found.versions.get(name, 0) < version:
                raise _older(name, found.versions.get(name, 0), version)
        return dataclasses.replace(found, seen_s=max(self.seen_s, found.seen_s))


def _older(name: str, found: int, seen: int) -> UpdateError:
    return UpdateError(
        f"the site is older than what this board has seen: {name} has version {found}, expected {seen} or more; an old "
        "copy is handed out: upload the site anew"
    )


def read_floor(path: Path) -> Floor:
    """Return what was seen; nothing where the file does not exist.

    Raises:
        UpdateError: the file is damaged, so that nobody knows what was seen.
    """
    try:
        floor = read_value(Floor, read_json(path.read_text("utf-8")), path.name)
    except FileNotFoundError:
        return Floor()
    except (OSError, ValueError, FieldError) as error:
        raise UpdateError(
            f"{path} is damaged ({error}), and with it what this board has seen; check the card, then enrol the board "
            "anew: `edgevit update enroll --force`"
        ) from error
    assert isinstance(floor, Floor)
    return floor


def write_floor(path: Path, floor: Floor, known: Floor) -> None:
    """Write what was seen if it says more than `known`, which is on the disk; the time alone once a day."""
    news = dataclasses.replace(floor, seen_s=known.seen_s) != known or floor.seen_s > known.seen_s + DAY_S
    if news or not path.exists():
        with replacing(path, durable=True) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(floor)) + "\n", "utf-8")
