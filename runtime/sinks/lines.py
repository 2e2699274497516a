"""Records as lines: text for people, JSON, CSV; on stdout or in a file."""

import csv
import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from edgevit.runtime.events.labels import UNKNOWN
from edgevit.runtime.moment import iso_time
from edgevit.runtime.records import Record
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

    def write_line(self, line: str, wall_s: float) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def flush(self) -> None:
        sys.stdout.flush()

    def close(self) -> None:
        """Leave stdout open: it is not ours."""


class LinesSink:
    """What all kinds of lines share."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def flush(self) -> None:
        self._lines.flush()

    def close(self) -> None:
        self._lines.close()


class TextSink(LinesSink):
    """A line for people."""

    def __init__(
        self, lines: Lines, top_k: int = 5, threshold: float = 0.0, *, alone: bool = False, timed: bool = True
    ) -> None:
        """Show at most top_k classes that reach the threshold; `alone` leaves out the source, `timed` adds the time."""
        super().__init__(lines)
        self._top_k, self._threshold, self._alone, self._timed = top_k, threshold, alone, timed

    def write(self, record: Record) -> None:
        time = f"{iso_time(record.moment.wall_s)}  " if self._timed else ""
        roi = f" [{record.moment.roi}]" if record.moment.roi is not None else ""
        if record.kind == "result" and record.result is not None:
            place = "" if self._alone else f"{record.moment.source}{roi}: "
            told = answer_text(record.result, self._top_k, self._threshold)
        else:
            place, told = f"{record.moment.source}{roi}: ", event_text(record)
        self._lines.write_line(printable(f"{time}{place}{told}"), record.moment.wall_s)


class JsonSink(LinesSink):
    """One JSON object a line."""

    def write(self, record: Record) -> None:
        self._lines.write_line(record.to_json(), record.moment.wall_s)


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
        self._lines.write_line(csv_line(row), record.moment.wall_s)


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
    """Return "cat 0.93  dog 0.04": classes that would read 0.00 are left out, unless the first."""
    best, *others = result.top(top_k, threshold) or [(UNKNOWN, result.top1_conf)]
    shown = [best, *((label, confidence) for label, confidence in others if confidence >= 0.005)]
    return "  ".join(f"{label} {confidence:.2f}" for label, confidence in shown)


def event_text(record: Record) -> str:
    """Return what an event tells.

    "now fox 0.91, before unknown", "soil above 0.3 (0.352)", "too dark (0.031)", "no longer too dark (0.2)",
    "source lost: REASON".
    """
    facts, kind = record.body, record.kind.replace("_", " ")
    if record.kind == "label":
        before = "" if facts.get("previous") is None else f", before {facts['previous']}"
        return f"now {facts['label']} {facts.get('conf', 0.0):.2f}{before}"
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
