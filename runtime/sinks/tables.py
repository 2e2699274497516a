"""Records as tables: a row for each answer, event or box, in CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgevit.runtime.records import Record
from edgevit.runtime.sinks.lines import Lines, LinesSink
from edgevit.text import printable

STAMP = ("time", "roi", "frame", "age_ms", "id")
"""Columns after those of a result, in files."""
FORMULA_SIGNS = ("=", "+", "-", "@")
"""First characters of what a spreadsheet computes, also behind blanks, tabs and line ends."""
EVENTS = (
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
    "count",
    "rule",
    "line",
    "track",
    "direction",
    "in",
    "out",
)
BOX = ("label", "conf", "left", "top", "right", "bottom", "track")
"""Columns of a box, its sides in pixels of the whole picture."""

Row = Mapping[str, Any]
"""Column to what stands there, beside the record's own fields."""


@dataclass(frozen=True)
class Table:
    """What a file of rows holds."""

    columns: Sequence[str]
    rows: Callable[[Record], Iterable[Row]]
    """Makes the rows of a record."""

    @property
    def header(self) -> str:
        return csv_line([csv_cell(name) for name in self.columns])


def event_table() -> Table:
    """Return a row for each event."""
    return Table(EVENTS, lambda record: [{}])


def class_table(top_k: int) -> Table:
    """Return a row for each answer: its most likely classes, so many; cells of those that are not told are empty."""
    ranks = [f"{name}{rank}" for rank in range(1, top_k + 1) for name in ("label", "conf")]

    def rows(record: Record) -> list[Row]:
        cells: dict[str, Any] = {}
        told = [(entry["label"], entry["conf"]) for entry in record.body.get("top", [])]
        # a class with a threshold of its own may be left out before others: no other takes its rank
        for rank, (label, confidence) in enumerate(() if record.result is None else record.result.top(top_k), 1):
            if (label, confidence) in told:
                cells |= {f"label{rank}": label, f"conf{rank}": f"{confidence:.4f}"}
        return [cells]

    return Table(("source", *ranks, *STAMP), rows)


def count_table(names: Sequence[str]) -> Table:
    """Return a row for each picture, or region of it, with how many boxes there are of each class."""
    # two classes of one name are counted together
    names = tuple(dict.fromkeys(names))

    def rows(record: Record) -> list[Row]:
        counts = record.body.get("counts", {})
        return [{f"count_{name}": counts.get(name, 0) for name in names}]

    return Table(("source", *(f"count_{name}" for name in names), *STAMP), rows)


def box_table() -> Table:
    """Return a row for each box."""

    def row(box: Mapping[str, Any]) -> Row:
        sides = dict(zip(("left", "top", "right", "bottom"), box["box"], strict=True))
        return {"label": box["label"], "conf": f"{box['conf']:.4f}", "track": box.get("id"), **sides}

    return Table(("source", *BOX, *STAMP), lambda record: [row(box) for box in record.body.get("detections", [])])


class CsvSink(LinesSink):
    """A table; the header is the caller's to write, as only it knows whether the file is new."""

    def __init__(self, lines: Lines, table: Table) -> None:
        super().__init__(lines)
        self._table = table

    def write(self, record: Record) -> None:
        # each column is asked for by its name: a mask's run lengths have none, and are costly to make
        known = {name: record.body.get(name) for name in self._table.columns} | {"source": record.moment.source}
        for row in self._table.rows(record):
            cells = {**known, **row}
            self._write_line(csv_line([csv_cell(cells.get(name)) for name in self._table.columns]), record)


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
