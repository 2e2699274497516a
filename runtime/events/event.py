"""Something that happened: its moment, its facts, its id and its JSON; docs/events.md describes the JSON."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgevit.runtime.moment import Moment, iso_time, record_id

SOURCE_KINDS = ("source_lost", "source_back")
"""Those that come from the loop that reads the source."""
_OF_RULES = ("label", "area", "class", "count", "line", "dwell", "too_dark", "too_bright", "blurred", "frozen")
KINDS = (*_OF_RULES, "counts", "lines", *SOURCE_KINDS)
"""What an event may tell; `counts` and `lines` are states that only a broker is told."""

SEVERAL: Mapping[str, tuple[str, ...]] = {
    "area": ("label",),
    "class": ("label",),
    "count": ("rule",),
    "line": ("line", "track"),
    "dwell": ("track", "limit", "active"),
    "lines": ("lines",),
}
"""Kinds of which one frame may tell several, and the facts that tell these apart."""


def is_of_source(kind: str, facts: Mapping[str, Any]) -> bool:
    """Tell whether an event comes from reading the source, and not from rules about what the pictures show."""
    return kind in SOURCE_KINDS or "repeated" in facts or "black" in facts


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    kind: str
    """One of KINDS."""
    moment: Moment
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: what this kind has to tell."""

    @property
    def of_source(self) -> bool:
        """Whether it comes from reading the source, and not from rules about what the pictures show."""
        return is_of_source(self.kind, self.facts)

    @functools.cached_property
    def id(self) -> str:
        """32 hexadecimal digits: the same for the same kind, source, region, frame and time, else different."""
        moment = self.moment
        # one frame may tell of several classes, rules or things
        several = SEVERAL.get(self.kind, ())
        kind = " ".join([self.kind, *(str(self.facts[name]) for name in several)])
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
