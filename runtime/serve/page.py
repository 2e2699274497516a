"""The page as HTML: rendered here alone, every text escaped; the script only fetches it again."""

import base64
import datetime
import hashlib
from dataclasses import dataclass
from html import escape
from importlib import resources

from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.moment import iso_time
from edgevit.runtime.records import Record
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.serve.status import Health, StatusSnapshot
from edgevit.runtime.serve.view import Shown
from edgevit.runtime.sinks.lines import event_text, now_text
from edgevit.text import printable

CLASSES = 3
"""How many are shown of an answer."""


def _part(name: str) -> str:
    return resources.files("edgevit.runtime.serve").joinpath(name).read_text("utf-8")


STYLE, SCRIPT = _part("page.css"), _part("page.js")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; img-src 'self'; connect-src 'self'; style-src {_digest(STYLE)}; "
    f"script-src {_digest(SCRIPT)}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing but this style, this script and this server, whatever a label may hold."""


@dataclass(frozen=True)
class PageParts:
    """What stands on the page, as HTML."""

    panel: str
    """What changes from moment to moment."""
    buttons: str = ""
    """Below the picture."""
    hard: str = ""
    """Below all else."""


def page(about: dict[str, str], parts: PageParts) -> str:
    """Return the whole page; "source" and "model" of `about` are its heading."""
    source, model = _text(about["source"]), _text(about["model"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        '<noscript><meta http-equiv="refresh" content="5"></noscript>'
        f"<title>{source} - edgevit</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{source}</h1><p>{model}</p></header>"
        f'<main><div class="card picture"><img src="picture.jpg" alt="newest picture of {source}">'
        f"{parts.buttons}</div>"
        f'<div id="panel">{parts.panel}</div><div id="hard">{parts.hard}</div></main>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def panel(shown: Shown, snapshot: StatusSnapshot) -> str:
    """Return what changes from moment to moment."""
    return (
        f"{health_card(snapshot.health)}"
        f'<section class="card"><h2>Now</h2>{_answers(shown)}</section>'
        f'<section class="card"><h2>Last events</h2>{_events(shown)}</section>'
        f'<section class="card"><h2>Since the start</h2>{_counters(snapshot)}</section>'
    )


def health_card(health: Health) -> str:
    return (
        f'<section class="card"><div class="health {health.state}">{health.state}'
        f"<small>{_text(health.reason)}</small></div></section>"
    )


def _answers(shown: Shown) -> str:
    blocks = []
    for record in shown.answers:
        assert record.result is not None
        place = [record.moment.source] if shown.several else []
        place += [] if record.moment.roi is None else [record.moment.roi]
        heading = f'<h2 class="place">{_text(" / ".join(place))}</h2>' if place else ""
        rows = _rows(record.result)
        best = _text(now_text(record.result, record.present))
        blocks.append(f'{heading}<div class="best">{best}</div><table>{rows}</table>')
    return "".join(blocks) or '<p class="none">nothing yet</p>'


def _rows(result: Result) -> str:
    """Return a row for each class: how sure the model is of it, or how many it found."""
    if isinstance(result, Detections):
        return "".join(_count_row(result, label, count) for label, count in result.counts.items())
    return "".join(_class_row(*entry, _key(result, entry[0])) for entry in result.top(CLASSES))


def _count_row(result: Detections, label: str, count: int) -> str:
    key = _key(result, label)
    return f'<tr><th>{key}{_text(label)}</th><td class="bar"></td><td class="number">{count:,}</td></tr>'


def _key(result: Result, label: str) -> str:
    """Return a patch of the colour that a class has in the picture; nothing where it has none."""
    if not isinstance(result, Segmentation | Detections):
        return ""
    red, green, blue = result.palette[result.names.index(label)]
    # an attribute of SVG, as the policy forbids styles other than the page's own
    patch = f'<rect width="1" height="1" fill="#{red:02x}{green:02x}{blue:02x}"/>'
    return f'<svg class="key" viewBox="0 0 1 1">{patch}</svg>'


def _class_row(label: str, confidence: float, key: str = "") -> str:
    meter = f'<meter min="0" max="1" value="{confidence:.4f}"></meter>'
    return f'<tr><th>{key}{_text(label)}</th><td class="bar">{meter}</td><td class="number">{confidence:.2f}</td></tr>'


def _events(shown: Shown) -> str:
    rows = "".join(
        f'<tr><td class="when" title="{iso_time(record.moment.wall_s)}">{_clock(record.moment.wall_s)}</td>'
        f"<td>{_text(_told(record, shown.several))}</td></tr>"
        for record in shown.events
    )
    return f"<table>{rows}</table>" if rows else '<p class="none">none yet</p>'


def _told(record: Record, several: bool) -> str:
    roi = "" if record.moment.roi is None else f"[{record.moment.roi}] "
    source = f"{record.moment.source}: " if several else ""
    return f"{source}{roi}{event_text(record)}"


def _clock(wall_s: float) -> str:
    """Return day and time as the board's clock on the wall would show them."""
    return datetime.datetime.fromtimestamp(wall_s).astimezone().strftime("%d %b %H:%M:%S")


def _counters(snapshot: StatusSnapshot) -> str:
    answers = sum(snapshot.results.values())
    rows: list[tuple[str, str]] = [
        ("running for", duration(snapshot.uptime_s)),
        ("results", f"{answers:,}"),
        *((f"of them {label}", f"{count:,}") for label, count in _most(snapshot)),
        *_crossings(snapshot),
        ("events", f"{sum(snapshot.events.values()):,}"),
        ("frames dropped", f"{snapshot.dropped:,}"),
        ("pictures damaged", f"{snapshot.damaged:,}"),
        ("pictures black", f"{snapshot.black:,}"),
    ]
    if snapshot.last_age_s is not None:
        rows.insert(1, ("last result", f"{duration(snapshot.last_age_s)} ago"))
    if snapshot.frame_age_s is not None:
        rows.append(("age of the frame", f"{1e3 * snapshot.frame_age_s:.0f} ms"))
    if answers:
        rows.append(("inference, mean", f"{1e3 * snapshot.inference_s / answers:.1f} ms"))
    rows += [(_told_backlog(backlog), f"{backlog.counts.waiting:,}") for backlog in snapshot.backlogs]
    cells = "".join(f'<tr><th>{_text(name)}</th><td class="number">{value}</td></tr>' for name, value in rows)
    return f"<table>{cells}</table>"


def _crossings(snapshot: StatusSnapshot) -> list[tuple[str, str]]:
    several = len({source for source, *_ in snapshot.crossings}) > 1
    return [
        (f"{f'{source}: ' if several else ''}{label} {direction} over {line}", f"{count:,}")
        for (source, line, label, direction), count in sorted(snapshot.crossings.items())
    ]


def _told_backlog(backlog: Backlog) -> str:
    lost = {"dropped": backlog.counts.dropped, "not saved": backlog.counts.unsaved, "refused": backlog.counts.refused}
    told = ", ".join(f"{count:,} {what}" for what, count in lost.items() if count)
    return f"waiting for {backlog.name}" + (f" ({told})" if told else "")


def _most(snapshot: StatusSnapshot) -> list[tuple[str, int]]:
    return sorted(snapshot.results.items(), key=lambda entry: (-entry[1], entry[0]))[:5]


def duration(seconds: float) -> str:
    """Return "3.2 s", "4 min 10 s", "5 h 2 min" or "12 d 3 h"."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    for large, small, unit, size in (("d", "h", 86400, 3600), ("h", "min", 3600, 60)):
        if whole >= unit:
            return f"{whole // unit} {large} {whole % unit // size} {small}"
    return f"{whole // 60} min {whole % 60} s"


def _text(text: str) -> str:
    return escape(printable(text))
