"""Rows of text as a table for a terminal."""

from collections.abc import Sequence
from typing import Literal

from edgevit.text import printable


def table(rows: Sequence[Sequence[str]], others: Literal["left", "right"] = "right") -> str:
    """Return rows of equal length as lines, two spaces between columns.

    Args:
        rows: cells, whatever they hold: each is made `printable`.
        others: to which side the columns after the first are aligned; numbers stand to the right.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    align = str.rjust if others == "right" else str.ljust
    lines = ([row[0].ljust(widths[0]), *map(align, row[1:], widths[1:])] for row in shown)
    return "\n".join("  ".join(cells).rstrip() for cells in lines)
