"""A comparison as an SVG picture: bars for one thread, marks for two, a panel for each model."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from peers.result import Comparison, Model, keeps_accuracy
from peers.table import by_speed

WIDTH, NAMES, FIGURES = 760, 170, 70
"""Widths of the picture, of the labels at its left, and of the figures at the end of the longest bar, in pixels."""
LINE, GAP, TOP = 18, 44, 52
OWN, OTHER, UNSOUND = "#0b7a75", "#8a97a6", "#d9c3a5"
TEXT = "#5b6673"
"""Readable on white and on black."""


def draw(comparison: Comparison) -> str:
    """Return the SVG."""
    height = TOP + sum(len(model.rows) * LINE + GAP for model in comparison.models)
    counts = sorted({time.threads for model in comparison.models for row in model.rows for time in row.times})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{TEXT}">',
        f"<title>Latency of each runtime, {escape(comparison.machine)}, {escape(comparison.date[:10])}</title>",
        *_legend(counts),
    ]
    top = TOP
    for model in comparison.models:
        parts += _panel(comparison, model, top)
        top += len(model.rows) * LINE + GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(counts: list[int]) -> Iterator[str]:
    entries = [(OWN, "edgevit"), (OTHER, "others"), (UNSOUND, "loses over 1 point, or not known")]
    left = 8
    for color, text in entries:
        yield f'<rect x="{left}" y="10" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{left + 18}" y="20">{text}</text>'
        left += 40 + 7 * len(text)
    marks = f"bar: {counts[0]} thread" + (f", line: {counts[1]} threads" if len(counts) > 1 else "")
    yield f'<text x="{left}" y="20">{marks}; milliseconds</text>'


def _panel(comparison: Comparison, model: Model, top: float) -> Iterator[str]:
    yield f'<text x="8" y="{top}" font-size="14" font-weight="600">{escape(model.name)}</text>'
    longest = max((time.median_ms for row in model.rows for time in row.times), default=1.0)
    scale = (WIDTH - NAMES - FIGURES) / longest
    for number, row in enumerate(by_speed(model)):
        y = top + 8 + number * LINE
        first, *more = row.times
        color = OWN if row.label.startswith("edgevit") else OTHER
        if not keeps_accuracy(comparison, model, row):
            color = UNSOUND
        weight = ' font-weight="600"' if row.label == comparison.default else ""
        yield f'<text x="{NAMES - 8}" y="{y + 12}" text-anchor="end"{weight}>{escape(row.label)}</text>'
        length = first.median_ms * scale
        yield f'<rect x="{NAMES}" y="{y + 2}" width="{length:.1f}" height="{LINE - 5}" fill="{color}"/>'
        for time in more[:1]:
            x = NAMES + time.median_ms * scale
            yield f'<path d="M{x:.1f} {y}v{LINE - 1}" stroke="{TEXT}" stroke-width="2"/>'
        end = NAMES + max(time.median_ms for time in row.times) * scale + 6
        figures = " / ".join(f"{time.median_ms:.1f}" for time in row.times)
        yield f'<text x="{end:.1f}" y="{y + 12}" font-size="11">{figures}</text>'
