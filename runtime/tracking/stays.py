"""How long things stay in a region of the picture."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgevit.errors import OptionError
from edgevit.runtime.images.regions import Region, bounds, check_region
from edgevit.runtime.sources.sampling import parse_duration
from edgevit.runtime.tracking.lines import CLEAR, Seen

_RULE = re.compile(r"(.*?)\s*>=\s*([^<>=]+)", re.DOTALL)


@dataclass(frozen=True)
class StayRule:
    """How long a thing may stay in a region before it is told."""

    region: str
    limit_s: float
    """In seconds."""

    def check_regions(self, regions: Sequence[Region]) -> None:
        """Raise OptionError if none of the regions has the rule's name."""
        check_region(f"--dwell {self}", self.region, [region.name for region in regions])

    def __str__(self) -> str:
        """Return the rule as `parse_stay` reads it."""
        return f"{self.region}>={self.limit_s:g}s"


def parse_stay(text: str) -> StayRule:
    """Read "gate>=30s".

    Raises:
        OptionError: it is something else.
    """
    match = _RULE.fullmatch(text.strip())
    if not match or not match[1]:
        raise OptionError(f"--dwell is {text!r}, expected a region and a time, in quotes, such as 'gate>=30s'")
    return StayRule(match[1], parse_duration(match[2], "--dwell"))


@dataclass(frozen=True)
class Stay:
    """A thing that has stayed for long, or that has left after that."""

    track: int
    label: str
    stayed_s: float
    """For how long it was in the region, in seconds."""
    over: bool
    """Whether it has left."""


@dataclass(frozen=True)
class _Visit:
    """One thing in one region."""

    label: str
    since_s: float
    last_s: float
    """When it was in the region last."""
    told: bool = False


@dataclass(frozen=True)
class StayState:
    """What is remembered of one rule."""

    visits: Mapping[int, _Visit] = field(default_factory=dict)


def next_stays(
    rule: StayRule,
    region: Region,
    state: StayState,
    seen: Sequence[Seen],
    living: set[int],
    size: tuple[int, int],
    now_s: float,
) -> tuple[StayState, tuple[Stay, ...]]:
    """Take where things are in one frame of (height, width), and which tracks are not over.

    Return the new state; who has now stayed as long as the rule says, once; and who left after that. A thing enters
    when its centre is in the region, and leaves when its centre is clearly outside: by a quarter of its mean side.
    One that is hidden has not left until its track is over.

    Raises:
        ImageError: the region lies outside the picture, or reaches beyond it.
    """
    box, visits, stays = bounds(region, size), dict(state.visits), []
    for thing in seen:
        outside = _outside(box, thing)
        visit = visits.get(thing.track)
        if outside <= 0:
            visit = _Visit(thing.label, now_s, now_s) if visit is None else dataclasses.replace(visit, last_s=now_s)
            stayed_s = visit.last_s - visit.since_s
            if not visit.told and stayed_s >= rule.limit_s:
                visit = dataclasses.replace(visit, told=True)
                stays.append(Stay(thing.track, thing.label, stayed_s, over=False))
            visits[thing.track] = visit
        elif visit is not None and outside >= CLEAR * thing.side:
            stays += _left(visits, thing.track)
    for track in sorted(set(visits) - living):
        stays += _left(visits, track)
    return StayState(visits), tuple(stays)


def _left(visits: dict[int, _Visit], track: int) -> list[Stay]:
    visit = visits.pop(track)
    return [Stay(track, visit.label, visit.last_s - visit.since_s, over=True)] if visit.told else []


def _outside(box: tuple[int, int, int, int], thing: Seen) -> float:
    """Return how far a thing's centre is outside of a box, in pixels; 0 or less within."""
    (left, top, right, bottom), (x, y) = box, thing.centre
    return max(left - x, x - right, top - y, y - bottom)
