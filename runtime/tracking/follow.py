"""From boxes to tracks, lines and stays, of all sources: the one object of this room that remembers."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import FoundBoxes, centres
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.regions import Region
from edgevit.runtime.moment import Moment
from edgevit.runtime.tracking.lines import Line, LineState, Seen, next_crossings
from edgevit.runtime.tracking.stays import StayRule, StayState, next_stays
from edgevit.runtime.tracking.tracks import TrackRules, Tracks, next_tracks


@dataclass(frozen=True)
class FollowRules:
    """What is wanted of things that move."""

    lines: tuple[Line, ...] = ()
    stays: tuple[StayRule, ...] = ()
    regions: tuple[Region, ...] = ()
    """Those that stays are about, and others."""
    tracks: TrackRules = TrackRules()


@dataclass(frozen=True)
class _Followed:
    """What is remembered of one source."""

    tracks: Tracks = field(default_factory=Tracks)
    lines: Mapping[str, LineState] = field(default_factory=dict)
    stays: Mapping[StayRule, StayState] = field(default_factory=dict)


class Follower:
    """Gives boxes the numbers of their tracks, and tells what crosses lines and stays in regions.

    Deterministic in what it is given, times included. For one thread.
    """

    def __init__(self, rules: FollowRules) -> None:
        self.rules = rules
        self._sources: Recent[str, _Followed] = Recent()

    def follow(
        self, found: Detections, sure: NDArray[np.bool_], moment: Moment, now_s: float
    ) -> tuple[Detections, tuple[Event, ...]]:
        """Take what was found in a whole picture.

        Args:
            found: all boxes from `rules.tracks.doubtful` on.
            sure: (n,) whether each is to be believed and shown.
            moment: which frame.
            now_s: its time in seconds: of a video its own, else that of the monotonic clock.

        Returns:
            The sure boxes alone, with ids; and what happened.
        """
        state = self._sources.get(moment.source, _Followed())
        rules, size = self.rules, found.size
        boxes = FoundBoxes(found.boxes, found.scores, found.classes)
        tracks, ids = next_tracks(rules.tracks, state.tracks, boxes, sure, now_s)
        seen, living = _seen(found, ids), {int(track) for track in tracks.ids if track}
        position = {} if found.position_s is None else {"position_s": round(found.position_s, 3)}
        lines, stays, events = {}, {}, []
        for line in rules.lines:
            before = state.lines.get(line.name, LineState())
            after, crossings = next_crossings(line, before, seen, size)
            lines[line.name] = after.kept(living)
            for crossing in crossings:
                facts: dict[str, Any] = {"line": line.name, "label": crossing.label, "track": crossing.track}
                way = {"direction": "in" if crossing.inwards else "out"}
                events.append(Event("line", moment, facts | way | dict(crossing.counts) | position))
        regions = {region.name: region for region in rules.regions}
        for rule in rules.stays:
            visits = state.stays.get(rule, StayState())
            stays[rule], told = next_stays(rule, regions[rule.region], visits, seen, living, size, now_s)
            there = dataclasses.replace(moment, roi=rule.region)
            for stay in told:
                facts = {"label": stay.label, "track": stay.track, "active": not stay.over}
                times = {"value": round(stay.stayed_s, 3), "limit": rule.limit_s}
                events.append(Event("dwell", there, facts | times | position))
        self._sources[moment.source] = _Followed(tracks, lines, stays)
        return _shown(found, ids, sure), tuple(events)

    def gap(self, source: str) -> None:
        """Say that the source was lost: things after it are others than those before; what was counted stays."""
        if source in self._sources:
            state = self._sources[source]
            self._sources[source] = dataclasses.replace(state, tracks=state.tracks.after_gap())


def frame_time_s(found: Detections) -> float:
    """Return the time by which things move in a stream's answer, in seconds.

    Raises:
        OptionError: it is a picture without a time.
    """
    if found.position_s is not None:
        return found.position_s
    if found.age_ms is None or found.moment is None:
        raise OptionError(
            f"--track follows things from frame to frame, but {found.source} has no time; "
            "give a video, a camera or a stream, or leave --track, --line and --dwell out"
        )
    return found.moment.monotonic_s


def _seen(found: Detections, ids: NDArray[np.int64]) -> Sequence[Seen]:
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).mean(axis=1)
    points = centres(found.boxes)
    return [
        Seen(int(ids[i]), found.names[found.classes[i]], (float(points[i, 0]), float(points[i, 1])), float(sides[i]))
        for i in np.flatnonzero(ids)
    ]


def _shown(found: Detections, ids: NDArray[np.int64], sure: NDArray[np.bool_]) -> Detections:
    """Return the sure boxes with their ids."""
    probs = np.zeros_like(found.probs)
    np.maximum.at(probs, found.classes[sure], found.scores[sure])
    return dataclasses.replace(
        found,
        probs=probs,
        boxes=found.boxes[sure],
        scores=found.scores[sure],
        classes=found.classes[sure],
        ids=ids[sure],
    )
