"""How many objects of each class there are, as a state that a broker keeps: told when it changes, and not too often."""

import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.records import RESULT, Record, event_record

PACE_S = 10.0
"""Seconds from one message about a region to its next: animals that move change their count with each frame."""


@dataclass
class _Place:
    """What is remembered of one region of one source."""

    frames: deque[Mapping[str, int]]
    """Counts of the last frames, oldest first."""
    told: Mapping[str, int] = field(default_factory=dict)
    told_s: float = float("-inf")
    """When that was, on the monotonic clock, in seconds."""


class CountStates:
    """Makes of the answers of a detector the records that tell its counts. For one thread."""

    def __init__(self, frames: int = 1, pace_s: float = PACE_S) -> None:
        """Tell of each class the middle one of its counts in so many frames, at most once in `pace_s` seconds."""
        self._frames, self._pace_s = frames, pace_s
        self._places: Recent[tuple[str, str | None], _Place] = Recent()

    def after(self, record: Record) -> list[Record]:
        """Take a record; return what there is to tell, which is nothing of most.

        A change within the pace is told with the first frame after it, if it is still there then.
        """
        moment, result = record.moment, record.result
        if record.kind == "source_lost":
            for key, place in self._places.items():
                if key[0] == moment.source:
                    place.frames.clear()
        if record.kind != RESULT or not isinstance(result, Detections):
            return []
        key = (moment.source, moment.roi)
        place = self._places.get(key) or _Place(deque(maxlen=self._frames))
        self._places[key] = place
        place.frames.append(result.all_counts())
        counts = {name: statistics.median_low(frame[name] for frame in place.frames) for name in result.names}
        if counts == place.told or moment.monotonic_s - place.told_s < self._pace_s:
            return []
        place.told, place.told_s = counts, moment.monotonic_s
        return [event_record(Event("counts", moment, {"counts": counts}))]
