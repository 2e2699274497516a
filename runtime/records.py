"""What a sink gets, a record, and what a sink is."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edgevit.errors import EdgevitError
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import Region
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment, iso_time, record_id
from edgevit.runtime.results import Limit, Result

RESULT = "result"
"""Kind of a record that is the answer for one frame."""
ERROR = "error"
"""Kind of a record that stands for a picture without an answer; all other kinds are those of events."""


class Body(Mapping[str, Any]):
    """Plain values, of which the costly ones are made when they are first read: most sinks never do."""

    def __init__(self, plain: Mapping[str, Any], costly: Mapping[str, Callable[[], Any]]) -> None:
        self._plain, self._costly = dict(plain), costly
        self._names = (*plain, *costly)

    def __getitem__(self, name: str) -> Any:
        # several threads may read: each then makes the same value
        if name not in self._plain and name in self._costly:
            self._plain[name] = self._costly[name]()
        return self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, eq=False)
class Record:
    """One line, message or picture's worth."""

    kind: str
    """RESULT, ERROR, or the kind of an event."""
    id: str
    """32 hexadecimal digits; a receiver that sees one twice may drop the second."""
    moment: Moment
    body: Mapping[str, Any]
    """Plain values: what is written as JSON."""
    result: Result | None = None
    """The frame's answer; None for what did not come from a frame."""
    image: RGBImage | None = None
    """(H, W, 3), the whole frame or its region; None where no sink needs it."""
    scene: RGBImage | None = None
    """(H, W, 3), the whole frame, for sinks that draw; None where no sink needs it."""
    region: Region | None = None
    """Which part of the scene it is about; None for all of it."""
    present: str | None = None
    """The label that thresholds and smoothing leave: what is there now. None where no rules were asked."""

    def to_json(self) -> str:
        """Return the body as one line of ASCII."""
        return json.dumps(dict(self.body))


class Sink(Protocol):
    """Takes records from one thread, in order."""

    def write(self, record: Record) -> None:
        """Take a record, without waiting for a network."""

    def flush(self) -> None:
        """Bring what was taken to where a loss of power cannot reach it."""

    def close(self) -> None:
        """Flush, and end: no file is open and no thread runs afterwards."""


def result_record(
    result: Result, moment: Moment, image: RGBImage | None = None, *, k: int = 5, threshold: Limit = 0.0
) -> Record:
    """Return the record of one frame's answer: the result's own JSON with the record's id in front."""
    identity = record_id(RESULT, moment.source, moment.roi, moment.sequence, moment.wall_s)
    stamp = {"id": identity, "time": iso_time(moment.wall_s), "frame": moment.sequence}
    body = Body({**stamp, **result.to_plain_dict(k, threshold)}, result.to_costly_dict(threshold))
    return Record(RESULT, identity, moment, body, result, image)


def error_record(error: EdgevitError, moment: Moment, kind: Literal["unreadable", "crash"] = "unreadable") -> Record:
    """Return the record of a picture without an answer, and why there is none."""
    identity = record_id(ERROR, moment.source, moment.roi, moment.sequence, moment.wall_s)
    stamp = {"id": identity, "time": iso_time(moment.wall_s), "frame": moment.sequence, "source": moment.source}
    return Record(ERROR, identity, moment, {**stamp, "error": error.command_line_text, "error_kind": kind})


def event_record(event: Event, result: Result | None = None, image: RGBImage | None = None) -> Record:
    """Return the record of an event; the frame that it came from, if there is one, is for sinks that draw."""
    return Record(event.kind, event.id, event.moment, event.to_dict(), result, image)
