"""Something that happened: its moment, its facts, its id and its JSON; docs/events.md describes the JSON."""

import datetime
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("label", "area", "too_dark", "too_bright", "blurred", "frozen", "source_lost", "source_back")
"""What an event may tell; the last two come from the loop that reads the source."""


@dataclass(frozen=True)
class Moment:
    """Which frame, and when."""

    source: str
    """The camera, stream or file."""
    sequence: int
    """Number of the frame in this run."""
    monotonic_s: float
    """Seconds of a clock that is never set: all intervals are measured with it."""
    wall_s: float
    """Unix time in seconds: a label only, as somebody may set the clock."""
    roi: str | None = None
    """Name of the region of the picture, if the picture was divided."""


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    kind: str
    """One of KINDS."""
    moment: Moment
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: what this kind has to tell."""

    @functools.cached_property
    def id(self) -> str:
        """32 hexadecimal digits: the same for the same kind, source, region, frame and time, else different."""
        moment = self.moment
        # one frame may tell of several classes' areas
        kind = f"area {self.facts['label']}" if self.kind == "area" else self.kind
        return record_id(kind, moment.source, moment.roi, moment.sequence, moment.wall_s)

    def to_dict(self) -> dict[str, Any]:
        moment = self.moment
        return {
            "event": self.kind,
            "id": self.id,
            "time": iso_time(moment.wall_s),
            "source": moment.source,
            "roi": moment.roi,
            "frame": moment.sequence,
            **self.facts,
        }

    def to_json(self) -> str:
        """Return to_dict as one line of ASCII."""
        return json.dumps(self.to_dict())


def record_id(kind: str, source: str | None, roi: str | None, sequence: int, wall_s: float) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of what makes a record this one, its time in microseconds."""
    what = json.dumps([kind, source, roi, sequence, round(wall_s * 1e6)])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def iso_time(wall_s: float) -> str:
    """Return Unix time as UTC, such as 2026-11-20T13:36:31.250Z."""
    utc = datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
