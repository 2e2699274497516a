"""What `edgevit run` prints: text, JSON or CSV for each result, and a line for each event."""

import csv
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.results import Result

UNKNOWN = "unknown"
"""Printed in place of a label when no class reaches the threshold."""

Writer = Callable[["Result"], None]
STAMP = ("time", "roi", "frame", "age_ms")
"""Columns of a stream, behind those that files have too."""


def _write_text(top_k: int, threshold: float, alone: bool) -> Writer:
    def write(result: "Result") -> None:
        best, *others = result.top(top_k, threshold) or [(UNKNOWN, result.top1_conf)]
        shown = [best, *((label, confidence) for label, confidence in others if confidence >= 0.005)]
        answer = "  ".join(f"{label} {confidence:.2f}" for label, confidence in shown)
        click.echo(printable(f"{place}: {answer}" if (place := _place(result, alone)) else answer))

    return write


def _place(result: "Result", alone: bool) -> str:
    """Return what tells this answer from the others: its file, or its time, and its region."""
    if result.moment is None:
        return ""
    parts = [] if alone or result.age_ms is not None else [str(result.source)]
    if result.age_ms is not None:
        parts.append(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(result.moment.wall_s)))
    if result.position_s is not None:
        parts.append(f"{result.position_s:.2f} s")
    if result.moment.roi is not None:
        parts.append(result.moment.roi)
    return " ".join(parts)


def _write_json(top_k: int, threshold: float, alone: bool) -> Writer:
    return lambda result: click.echo(result.to_json(top_k, threshold))


def _write_csv(top_k: int, threshold: float, alone: bool) -> Writer:
    table = csv.writer(sys.stdout, lineterminator="\n")
    names = ["source", *(f"{name}{rank}" for rank in range(1, top_k + 1) for name in ("label", "conf")), *STAMP]
    table.writerow(names)

    def write(result: "Result") -> None:
        facts = result.to_dict(top_k, threshold)
        cells = [cell for label, confidence in result.top(top_k, threshold) for cell in (label, f"{confidence:.4f}")]
        stamp = [facts.get(name, "") for name in STAMP]
        table.writerow([printable(str(result.source)), *cells, *[""] * (2 * top_k - len(cells)), *stamp])
        sys.stdout.flush()

    return write


WRITERS = {None: _write_text, "json": _write_json, "csv": _write_csv}


def event_text(event: "Event") -> str:
    """Return what happened to a live source, for people."""
    source, facts = event.moment.source, event.facts
    texts = {
        "source_lost": lambda: f"{source} is lost: {facts['reason']}",
        "source_back": lambda: f"{source} is back after {facts['away_s']:.1f} s",
        "frozen": lambda: f"{source} {'keeps repeating one picture' if facts['active'] else 'moves again'}",
    }
    return texts[event.kind]()


def printable(text: str) -> str:
    """Replace what a file name may hold but a terminal cannot print: bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
