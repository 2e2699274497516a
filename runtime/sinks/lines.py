"""Records as lines: text for people, JSON, CSV; on stdout or in a file."""

import csv
import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from edgevit.runtime.events.event import is_of_source
from edgevit.runtime.events.labels import UNKNOWN
from edgevit.runtime.moment import clock_time, iso_time, position_time
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.results import Result
from edgevit.text import printable

STAMP = ("time", "roi", "frame", "age_ms", "id")
"""Columns after those of a result, in files."""
FORMULA_SIGNS = ("=", "+", "-", "@")
"""First characters of what a spreadsheet computes, also behind blanks, tabs and line ends."""
EVENT_COLUMNS = (
    "time",
    "source",
    "roi",
    "frame",
    "event",
    "label",
    "previous",
    "conf",
    "active",
    "value",
    "limit",
    "id",
)


class Lines(Protocol):
    """Where lines go."""

    def write_line(self, line: str, wall_s: float) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Stdout:
    """Lines on stdout; each is there at once, for whoever reads a pipe."""

    def __init__(self, header: str = "") -> None:
        """Write a header before the first line, if it is not empty."""
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
        self, lines: Lines, top_k: int = 5, threshold: float = 0.0, *, alone: bool = False, on_screen: bool = False
    ) -> None:
        """Show at most top_k classes that reach the threshold; `alone` leaves out the source.

        On a screen the day is known, and what happens to a source is told on stderr.
        """
        super().__init__(lines)
        self._top_k, self._threshold, self._alone, self._on_screen = top_k, threshold, alone, on_screen

    def write(self, record: Record) -> None:
        if self._on_screen and is_of_source(record.kind, record.body):
            return
        answer = record.result if record.kind == RESULT else None
        told = event_text(record) if answer is None else answer_text(answer, self._top_k, self._threshold)
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


class CsvSink(LinesSink):
    """One row a record; the header is the caller's to write, as only it knows whether the file is new."""

    def __init__(self, lines: Lines, columns: Sequence[str], top_k: int) -> None:
        super().__init__(lines)
        self._columns, self._top_k = columns, top_k

    def write(self, record: Record) -> None:
        # each column is asked for by its name: a mask's run lengths have none, and are costly to make
        cells = {name: record.body.get(name) for name in self._columns} | {"source": record.moment.source}
        for rank, entry in enumerate(record.body.get("top", [])[: self._top_k], 1):
            cells |= {f"label{rank}": entry["label"], f"conf{rank}": f"{entry['conf']:.4f}"}
        row = [csv_cell(cells.get(name)) for name in self._columns]
        self._write_line(csv_line(row), record)


def result_columns(top_k: int, *, stamped: bool = True) -> tuple[str, ...]:
    ranks = [f"{name}{rank}" for rank in range(1, top_k + 1) for name in ("label", "conf")]
    return ("source", *ranks, *(STAMP if stamped else ()))


def csv_cell(value: Any) -> str:
    """Return a value as a cell: numbers as they are, text that a spreadsheet would compute behind an apostrophe."""
    text = "" if value is None else str(value)
    if isinstance(value, str) and printable(text).strip()[:1] in FORMULA_SIGNS:
        text = f"'{text}"
    return printable(text)


def csv_line(cells: Sequence[str]) -> str:
    """Return cells as a row, quoted where needed, without its end."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(cells)
    return row.getvalue()


def answer_text(result: Result, top_k: int = 5, threshold: float = 0.0) -> str:
    """Return "cat 0.93  dog 0.04", or "unknown (best: dog 0.39)" if no class reaches the threshold.

    Classes that would read 0.00 are left out, unless the first.
    """
    found = result.top(top_k, threshold)
    if not found:
        return f"{UNKNOWN} (best: {result.top1} {result.top1_conf:.2f})"
    shown = [found[0], *((label, confidence) for label, confidence in found[1:] if confidence >= 0.005)]
    return "  ".join(f"{label} {confidence:.2f}" for label, confidence in shown)


def now_text(result: Result, present: str | None, top_k: int = 1, threshold: float = 0.0) -> str:
    """Return what is there now: the answer of a frame, or the label that smoothing leaves where that is another.

    "hen 0.93", "unknown (best: dog 0.39)", "hen (this frame: dog 0.71)".
    """
    if present == UNKNOWN != result.top1:
        return f"{UNKNOWN} (best: {result.top1} {result.top1_conf:.2f})"
    frame = answer_text(result, top_k, threshold)
    return frame if present in (None, result.top1) else f"{present} (this frame: {frame})"


def event_text(record: Record) -> str:
    """Return what an event tells.

    "now fox 0.91, before unknown", "soil above 0.3 (0.352)", "too dark (0.031)", "no longer too dark (0.2)",
    "source lost: REASON".
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
    if "active" in facts:
        measured = f" ({facts['value']:.3g})" if "value" in facts else ""
        return f"{'' if facts['active'] else 'no longer '}{kind}{measured}"
    if "reason" in facts:
        return f"{kind}: {facts['reason']}"
    return f"{kind} after {facts['away_s']:.1f} s" if "away_s" in facts else kind
