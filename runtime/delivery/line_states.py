"""How many went over each line so far, as a state that a broker keeps: told with each crossing."""

from collections.abc import Mapping

from edgevit.runtime.events.event import Event
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.records import Record, event_record

Totals = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Line to label to how many went "in" and "out"."""


class LineStates:
    """Makes of the crossings of lines the records that tell all totals of a source. For one thread."""

    def __init__(self) -> None:
        self._totals: Recent[str, Totals] = Recent()

    def after(self, record: Record) -> list[Record]:
        """Take a record; return what there is to tell: of a crossing the totals, of all others nothing."""
        if record.kind != "line":
            return []
        facts, before = record.body, self._totals.get(record.moment.source, {})
        counts = {"in": facts["in"], "out": facts["out"]}
        line = {**before.get(facts["line"], {}), facts["label"]: counts}
        totals = self._totals[record.moment.source] = {**before, facts["line"]: line}
        return [event_record(Event("lines", record.moment, {"lines": totals}))]
