"""A confusion matrix as an SVG picture: classes down the side, answers along the top, darker for a larger share."""

from collections.abc import Sequence
from html import escape

MOST_CLASSES = 30
"""Classes drawn; of more, those that take part in the most mistakes."""
CELL, TOP, LEFT, RIGHT, BOTTOM = 30, 120, 150, 70, 8
"""Sides in the units of the drawing: of a cell, and of the room for names above and to the left; they lean right."""
LONGEST_NAME = 18
"""Letters of a class name that are drawn; the whole name is in the cell's title."""
STYLE = (
    ".confusion{max-width:100%;height:auto;font:12px system-ui,sans-serif;fill:currentColor}"
    ".confusion .right{fill:#0b6e4f}.confusion .wrong{fill:#b3261e}.confusion .empty{fill:none;stroke:currentColor;"
    "stroke-opacity:.15}.confusion .strong{fill:#fff}"
)
"""CSS for a page with such pictures."""


def confusion_svg(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """Return the picture as markup, which needs STYLE; every text in it is escaped.

    Args:
        labels: the class names.
        confusion: images by class (row) and answer (column).
    """
    shown = sorted(most_confused(confusion))
    side = len(shown) * CELL
    parts = [
        f'<svg class="confusion" role="img" aria-label="confusion matrix" width="{LEFT + side + RIGHT}" '
        f'viewBox="0 0 {LEFT + side + RIGHT} {TOP + side + BOTTOM}">'
    ]
    for place, i in enumerate(shown):
        name, middle = escape(_shortened(labels[i])), (place + 0.5) * CELL + 4
        parts.append(f'<text x="{LEFT - 6}" y="{TOP + middle:g}" text-anchor="end">{name}</text>')
        parts.append(f'<text transform="translate({LEFT + middle:g} {TOP - 6}) rotate(-60)">{name}</text>')
    for row, label in enumerate(shown):
        of = sum(confusion[label])
        for column, answer in enumerate(shown):
            title = f"{confusion[label][answer]:,} of {of:,} {labels[label]} taken for {labels[answer]}"
            parts.append(
                _cell(LEFT + column * CELL, TOP + row * CELL, confusion[label][answer], of, title, row == column)
            )
    return "".join([*parts, "</svg>"])


def most_confused(confusion: Sequence[Sequence[int]]) -> list[int]:
    """Return the classes that have images or are answered, or the MOST_CLASSES of them with the most mistakes."""
    columns = [sum(column) for column in zip(*confusion, strict=True)]
    present = [i for i, row in enumerate(confusion) if sum(row) or columns[i]]
    return sorted(present, key=lambda i: 2 * confusion[i][i] - sum(confusion[i]) - columns[i])[:MOST_CLASSES]


def _cell(x: int, y: int, count: int, of: int, title: str, right: bool) -> str:
    place = f'x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}"'
    if not count:
        return f'<rect class="empty" {place}><title>{escape(title)}</title></rect>'
    share = count / of
    kind, strong = ("right" if right else "wrong"), (' class="strong"' if share > 0.5 else "")
    return (
        f'<g><title>{escape(title)}</title><rect class="{kind}" {place} fill-opacity="{0.12 + 0.88 * share:.2f}"/>'
        f'<text{strong} x="{x + CELL / 2:g}" y="{y + CELL / 2 + 4:g}" text-anchor="middle">{count}</text></g>'
    )


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
