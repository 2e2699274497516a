"""What a run has done so far, and whether results are really being produced; fed by the loop, read by any thread."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.sources.frames import Clock

State = Literal["starting", "running", "late", "dark", "lost"]
"""`dark`: pictures come, but nothing is on them; `lost`: none come, or the same one again and again."""


Place = tuple[str, str | None]
"""A source, and a region of its pictures; None for the whole."""
Crossed = tuple[str, str, str, str]
"""A source, a line, a class and "in" or "out"."""


@dataclass(frozen=True)
class Health:
    """Whether results are being produced now, and if not, why."""

    state: State
    reason: str
    """One line for people."""

    @property
    def ok(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class StatusSnapshot:
    """Everything counted since the run began."""

    health: Health
    uptime_s: float
    last_age_s: float | None
    """How long ago the last result was; None if there was none."""
    results: Mapping[str, int]
    """By label; of a detection by that of which there is most."""
    events: Mapping[str, int]
    """By kind."""
    black: int
    """Live pictures that were not classified since nothing was on them."""
    damaged: int
    """Pictures that could not be read."""
    dropped: int
    """Live pictures that were replaced by a newer one before they were classified."""
    frame_age_s: float | None
    """How old the last live frame was when its classification began."""
    preprocess_s: float
    """In all results together."""
    inference_s: float
    """In all results together."""
    backlogs: tuple[Backlog, ...] = ()
    """What waits for each network destination."""
    counts: Mapping[Place, Mapping[str, int]] = field(default_factory=dict)
    """How many objects a detector found last, by where it looked, of each class."""
    crossings: Mapping[Crossed, int] = field(default_factory=dict)
    """How many went over lines."""


class RunStatus:
    """A sink that counts. Its lock is held for microseconds: no reader can hold the loop back."""

    def __init__(
        self,
        limit_s: float,
        clock: Clock | None = None,
        *,
        sources: int = 1,
        good: str = "results are being produced",
    ) -> None:
        """Call a run of so many sources healthy if its last result is no older than limit_s; `good` tells of that."""
        self._good = good
        self._limit_s, self._now_s = limit_s, (clock or Clock()).monotonic_s
        self._lock = threading.Lock()
        self._begun_s = self._now_s()
        self._last_s: float | None = None
        self._sources = sources
        self._trouble: Recent[str, Health] = Recent()
        """By source, what is wrong with it."""
        self._results: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._counts: Recent[Place, Mapping[str, int]] = Recent()
        self._crossings: Recent[Crossed, int] = Recent()
        self._black = self._damaged = 0
        self._dropped: Recent[str, int] = Recent()
        self._frame_age_s: float | None = None
        self._preprocess_s = self._inference_s = 0.0
        self._ask_backlogs: Callable[[], tuple[Backlog, ...]] = tuple

    def include(self, backlogs: Callable[[], tuple[Backlog, ...]]) -> None:
        """Tell of deliveries too; `backlogs` is called from the threads that read."""
        self._ask_backlogs = backlogs

    def write(self, record: Record) -> None:
        source = record.moment.source
        with self._lock:
            if record.kind != RESULT or record.result is None:
                self._events[record.kind] += 1
                if record.kind == "line":
                    line, label, direction = (record.body[name] for name in ("line", "label", "direction"))
                    crossed = (source, line, label, direction)
                    self._crossings[crossed] = self._crossings.get(crossed, 0) + 1
                if record.kind == "source_lost":
                    self._lose(source, f"is lost: {record.body.get('reason', 'no picture')}")
                    # nobody knows how many there are now
                    for place in [place for place in self._counts if place[0] == source]:
                        del self._counts[place]
                elif record.kind == "frozen" and record.body.get("active") and record.body.get("repeated"):
                    self._lose(source, "keeps repeating the same picture")
                return
            result = record.result
            if isinstance(result, Detections):
                self._counts[source, record.moment.roi] = result.all_counts()
                if record.moment.roi is not None:
                    return
            self._last_s = self._now_s()
            self._trouble.pop(source, None)
            self._results[result.headline] += 1
            if result.dropped is not None:
                self._dropped[source] = result.dropped
            self._frame_age_s = None if result.age_ms is None else result.age_ms / 1e3
            self._preprocess_s += result.preprocess_ms / 1e3
            self._inference_s += result.inference_ms / 1e3

    def _lose(self, source: str, why: str) -> None:
        self._trouble[source] = Health("lost", f"{source} {why}")

    def seen(self, moment: Moment) -> None:
        """Note a picture that is used though nobody classified it."""
        with self._lock:
            self._last_s = self._now_s()
            self._trouble.pop(moment.source, None)

    def black(self, moment: Moment) -> None:
        """Note a live picture with nothing on it."""
        with self._lock:
            self._black += 1
            whose = f" of {moment.source}" if self._sources > 1 else ""
            self._trouble[moment.source] = Health("dark", f"the pictures{whose} are black")

    def damaged(self) -> None:
        """Note a picture that cannot be read."""
        with self._lock:
            self._damaged += 1

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def health(self) -> Health:
        return self.snapshot().health

    def snapshot(self) -> StatusSnapshot:
        backlogs = self._ask_backlogs()
        with self._lock:
            now_s = self._now_s()
            age_s = None if self._last_s is None else now_s - self._last_s
            return StatusSnapshot(
                health=self._health(now_s - self._begun_s, age_s, backlogs),
                uptime_s=now_s - self._begun_s,
                last_age_s=age_s,
                results=dict(self._results),
                events=dict(self._events),
                black=self._black,
                damaged=self._damaged,
                dropped=sum(self._dropped.values()),
                frame_age_s=self._frame_age_s,
                preprocess_s=self._preprocess_s,
                inference_s=self._inference_s,
                backlogs=backlogs,
                counts=dict(self._counts),
                crossings=dict(self._crossings),
            )

    def _health(self, uptime_s: float, age_s: float | None, backlogs: tuple[Backlog, ...]) -> Health:
        states = {trouble.state for trouble in self._trouble.values()}
        troubles = [trouble.reason for trouble in self._trouble.values()]
        # with several sources, one that is lost or dark does not stop the others
        if len(troubles) >= self._sources:
            return Health("dark" if states == {"dark"} else "lost", "; ".join(troubles))
        if age_s is None and uptime_s <= self._limit_s:
            return Health("starting", "no result yet")
        if age_s is None or age_s > self._limit_s:
            waited_s = uptime_s if age_s is None else age_s
            return Health("late", f"no result for {waited_s:.0f} s, expected one within {self._limit_s:g} s")
        # a receiver that is away is told, but is no illness of this run: starting it anew would not bring him back
        away = [str(backlog) for backlog in backlogs if backlog.away]
        return Health("running", "; ".join([self._good, *troubles, *away]))
