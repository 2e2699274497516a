"""From boxes to tracks, lines and stays, of all sources: the one object of this room that remembers."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import FoundBoxes, centres, nothing_found
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.regions import Region
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.frames import Frame
from edgevit.runtime.tracking.lines import Crossing, Line, LineState, Seen, check_lines, next_crossings, parse_line
from edgevit.runtime.tracking.stays import Stay, StayRule, StayState, next_stays, parse_stay
from edgevit.runtime.tracking.tracks import TrackRules, Tracks, next_tracks


@dataclass(frozen=True)
class FollowRules:
    """What is wanted of things that move."""

    lines: tuple[Line, ...] = ()
    stays: tuple[StayRule, ...] = ()
    regions: tuple[Region, ...] = ()
    """Those that stays are about, and others."""
    tracks: TrackRules = TrackRules()


def read_follow_rules(
    track: bool, lines: Sequence[str], dwell: Sequence[str], regions: tuple[Region, ...]
) -> FollowRules | None:
    """Read --track, --line and --dwell; None if nothing is to be followed.

    Raises:
        OptionError: a line or rule is wrong or stands twice, or a rule is about a region that is none of these.
    """
    stays = tuple(parse_stay(text) for text in dwell)
    for rule in stays:
        rule.check_regions(regions)
        if stays.count(rule) > 1:
            raise OptionError(f"--dwell {rule} stands twice; leave one of them out")
    rules = FollowRules(check_lines([parse_line(text) for text in lines]), stays, regions)
    return rules if track or rules.lines or rules.stays else None


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
        self, found: Detections, moment: Moment, now_s: float, position_s: float | None = None
    ) -> tuple[Detections, tuple[Event, ...]]:
        """Take what was found in a whole picture.

        Args:
            found: boxes that count, and as `weak` those from WEAK on that do not.
            moment: which frame.
            now_s: its time in seconds: of a video its own, else that of the monotonic clock.
            position_s: its time within a video, for events.

        Returns:
            The same answer with ids, and what happened.

        Raises:
            ImageError: a line, or a region of a stay, reaches beyond the picture.
        """
        state = self._sources.get(moment.source, _Followed())
        boxes, sure = _together(found)
        tracks, ids = next_tracks(self.rules.tracks, state.tracks, boxes, sure, now_s)
        seen, living = _seen(boxes, ids, found.names), {int(track) for track in tracks.ids if track}
        position = {} if position_s is None else {"position_s": round(position_s, 3)}
        lines, crossings = self._crossings(state.lines, seen, living, found.size)
        stays, told = self._stays(state.stays, seen, living, found.size, now_s)
        self._sources[moment.source] = _Followed(tracks, lines, stays)
        events = [Event("line", moment, _crossing_facts(crossing) | position) for crossing in crossings]
        for rule, stay in told:
            there = dataclasses.replace(moment, roi=rule.region)
            events.append(Event("dwell", there, _stay_facts(rule, stay) | position))
        return dataclasses.replace(found, ids=ids[sure]), tuple(events)

    def _crossings(
        self, states: Mapping[str, LineState], seen: Sequence[Seen], living: set[int], size: tuple[int, int]
    ) -> tuple[dict[str, LineState], list[Crossing]]:
        after: dict[str, LineState] = {}
        crossings: list[Crossing] = []
        for line in self.rules.lines:
            state, found = next_crossings(line, states.get(line.name, LineState()), seen, size)
            after[line.name] = state.kept(living)
            crossings += found
        return after, crossings

    def _stays(
        self,
        states: Mapping[StayRule, StayState],
        seen: Sequence[Seen],
        living: set[int],
        size: tuple[int, int],
        now_s: float,
    ) -> tuple[dict[StayRule, StayState], list[tuple[StayRule, Stay]]]:
        after: dict[StayRule, StayState] = {}
        told: list[tuple[StayRule, Stay]] = []
        regions = {region.name: region for region in self.rules.regions}
        for rule in self.rules.stays:
            state = states.get(rule, StayState())
            after[rule], found = next_stays(rule, regions[rule.region], state, seen, living, size, now_s)
            told += [(rule, stay) for stay in found]
        return after, told

    def gap(self, source: str) -> None:
        """Say that the source was lost: things after it are others than those before; what was counted stays."""
        if source in self._sources:
            state = self._sources[source]
            self._sources[source] = dataclasses.replace(state, tracks=state.tracks.after_gap())


def frame_time_s(frame: Frame) -> float:
    """Return the time by which things move in a frame, in seconds.

    Raises:
        OptionError: it is a picture without a time.
    """
    if frame.position_s is not None:
        return frame.position_s
    if not frame.live:
        raise OptionError(
            f"--track follows things from frame to frame, but {frame.moment.source} has no time; "
            "give a video, a camera or a stream, or leave --track, --line and --dwell out"
        )
    return frame.moment.monotonic_s


def _together(found: Detections) -> tuple[FoundBoxes, NDArray[np.bool_]]:
    """Return all boxes, those that count first, and whether each counts."""
    weak = nothing_found() if found.weak is None else found.weak
    boxes = FoundBoxes(
        np.concatenate([found.boxes, weak.boxes]),
        np.concatenate([found.scores, weak.scores]),
        np.concatenate([found.classes, weak.classes]),
    )
    return boxes, np.arange(len(boxes.scores)) < len(found.scores)


def _seen(boxes: FoundBoxes, ids: NDArray[np.int64], names: Sequence[str]) -> list[Seen]:
    sides = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]).mean(axis=1)
    points = centres(boxes.boxes)
    return [
        Seen(int(ids[i]), names[boxes.classes[i]], (float(points[i, 0]), float(points[i, 1])), float(sides[i]))
        for i in np.flatnonzero(ids)
    ]


def _crossing_facts(crossing: Crossing) -> dict[str, Any]:
    return {
        "line": crossing.line,
        "label": crossing.label,
        "track": crossing.track,
        "direction": "in" if crossing.inwards else "out",
        **crossing.counts,
    }


def _stay_facts(rule: StayRule, stay: Stay) -> dict[str, Any]:
    value = round(stay.stayed_s, 3)
    return {"label": stay.label, "track": stay.track, "active": not stay.over, "value": value, "limit": rule.limit_s}
