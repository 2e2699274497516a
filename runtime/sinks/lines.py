"""Records as lines: text for people, and JSON; on stdout or in a file."""

import re
import sys
from typing import Protocol

from edgevit.errors import OutputError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import is_of_source
from edgevit.runtime.events.labels import UNKNOWN, LabelRules
from edgevit.runtime.moment import clock_time, iso_time, position_time
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.results import Result
from edgevit.text import printable

FIRST_TEXT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|\d+:\d\d:\d\d\.\d\d)( .*?)?  \S", re.ASCII)
"""How a line of TextSink begins in a file: a time or position, the source, and after two blanks what is told."""
FIRST_JSON = re.compile(r'\{("event": "\w+", )?"id": "[0-9a-f]{32}", ')
"""How a line of JsonSink begins."""
PLAIN = LabelRules()
"""Every class is believed."""


class Lines(Protocol):
    """Where lines go."""

    def write_line(self, line: str, wall_s: float) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Stdout:
    """Lines on stdout; each is there at once, for whoever reads a pipe."""

    def __init__(self, header: str = "") -> None:
        """Write a header before the first line, if it is not empty.

        Raises:
            OutputError: there is no stdout, as in a program that was started without.
        """
        if sys.stdout is None:
            raise OutputError(
                "stdout is closed, so that no line can be written there; name a place, as in --to a.jsonl"
            )
        self._header = header

    def write_line(self, line: str, wall_s: float) -> None:
        if self._header:
            sys.stdout.write(f"{self._header}\n")
            self._header = ""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def flush(self) -> None:
        sys.stdout.flush()

    def close(self) -> None:
        """Leave stdout open: it is not ours."""


class LinesSink:
    """What all kinds of lines share."""

    unit = "line"

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.written = 0
        """How many lines."""

    def _write_line(self, line: str, record: Record) -> None:
        self._lines.write_line(line, record.moment.wall_s)
        self.written += 1

    def flush(self) -> None:
        self._lines.flush()

    def close(self) -> None:
        self._lines.close()


class TextSink(LinesSink):
    """A line for people."""

    def __init__(
        self, lines: Lines, top_k: int = 5, rules: LabelRules = PLAIN, *, alone: bool = False, on_screen: bool = False
    ) -> None:
        """Show at most top_k classes that reach their thresholds; `alone` leaves out the source.

        On a screen the day is known, and what happens to a source is told on stderr.
        """
        super().__init__(lines)
        self._top_k, self._rules, self._alone, self._on_screen = top_k, rules, alone, on_screen

    def write(self, record: Record) -> None:
        if self._on_screen and is_of_source(record.kind, record.body):
            return
        answer = record.result if record.kind == RESULT else None
        told = event_text(record) if answer is None else answer_text(answer, self._top_k, self._rules)
        self._write_line(printable(self._place(record, known=self._alone and answer is not None) + told), record)

    def _place(self, record: Record, *, known: bool) -> str:
        """Return when and where, as far as it is to be said: a video's frame has its position, a photo no time.

        Args:
            record: of which frame.
            known: its source is known to the reader.
        """
        roi = f" [{record.moment.roi}]" if record.moment.roi is not None else ""
        source, time, answer = f"{record.moment.source}{roi}", None, record.result
        if answer is not None and answer.position_s is not None:
            time = position_time(answer.position_s)
        elif not self._on_screen:
            time = iso_time(record.moment.wall_s)
        elif answer is None or answer.age_ms is not None:
            time = clock_time(record.moment.wall_s)
        if time is not None:
            return f"{time} {source}  "
        return "" if known else f"{source}: "


class JsonSink(LinesSink):
    """One JSON object a line."""

    def write(self, record: Record) -> None:
        self._write_line(record.to_json(), record)


def answer_text(result: Result, top_k: int = 5, rules: LabelRules = PLAIN) -> str:
    """Return "cat 0.93  dog 0.04", or "unknown (best: dog 0.39)" if the best class does not reach its threshold.

    Of several classes that may be there at once, "unknown" says that none reaches its own.

    Classes that would read 0.00 are left out, unless the first. Of a detection it is "hen 7, fox 1", or "nothing".
    """
    if isinstance(result, Detections):
        return str(result)
    found, several = result.top(top_k, rules.shown_from(result)), result.multi_label or result.of_areas
    if not found or not (several or result.top1_conf >= rules.enter(result.top1)):
        return f"{UNKNOWN} (best: {result.top1} {result.top1_conf:.2f})"
    shown = [found[0], *((label, confidence) for label, confidence in found[1:] if confidence >= 0.005)]
    return "  ".join(f"{label} {confidence:.2f}" for label, confidence in shown)


def now_text(result: Result, present: str | None, top_k: int = 1, rules: LabelRules = PLAIN) -> str:
    """Return what is there now: the answer of a frame, or the label that smoothing leaves where that is another.

    "hen 0.93", "unknown (best: dog 0.39)", "hen (this frame: dog 0.71)".
    """
    if isinstance(result, Detections):
        return str(result)
    if present == UNKNOWN != result.top1:
        return f"{UNKNOWN} (best: {result.top1} {result.top1_conf:.2f})"
    frame = answer_text(result, top_k, rules)
    return frame if present in (None, result.top1) else f"{present} (this frame: {frame})"


def event_text(record: Record) -> str:
    """Return what an event tells.

    "now fox 0.91, before unknown", "soil above 0.3 (0.352)", "hen>=10 (12)", "no longer hen>=10 (7)", "hen #7 went in
    over gate (by now in 3, out 1)", "hen #7 has been there for 30.2 s", "too dark (0.031)", "source lost: REASON".
    """
    facts, kind = record.body, record.kind.replace("_", " ")
    if record.kind == "label":
        before = "" if facts.get("previous") is None else f", before {facts['previous']}"
        if facts["label"] != UNKNOWN:
            return f"now {facts['label']} {facts.get('conf', 0.0):.2f}{before}"
        best = "" if record.result is None else f" (best: {record.result.top1} {record.result.top1_conf:.2f})"
        return f"now {UNKNOWN}{best}{before}"
    if record.kind in ("area", "class"):
        return (
            f"{facts['label']} {'' if facts['active'] else 'no longer '}above {facts['limit']:g} ({facts['value']:.3g})"
        )
    if record.kind == "count":
        return f"{'' if facts['active'] else 'no longer '}{facts['rule']} ({facts['count']})"
    if record.kind == "line":
        thing, counts = f"{facts['label']} #{facts['track']}", f"in {facts['in']}, out {facts['out']}"
        return f"{thing} went {facts['direction']} over {facts['line']} (by now {counts})"
    if record.kind == "dwell":
        thing = f"{facts['label']} #{facts['track']}"
        how = "has been there for" if facts["active"] else "has left after"
        return f"{thing} {how} {facts['value']:.1f} s"
    if "active" in facts:
        measured = f" ({facts['value']:.3g})" if "value" in facts else ""
        return f"{'' if facts['active'] else 'no longer '}{kind}{measured}"
    if "reason" in facts:
        return f"{kind}: {facts['reason']}"
    return f"{kind} after {facts['away_s']:.1f} s" if "away_s" in facts else kind
