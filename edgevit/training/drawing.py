"""Where the lines and cells of a run's pictures lie, in the units of its page's drawings."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevit.export.report.chart import Tick, tick_step

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 36
"""Margins, which hold the labels of the axes."""
MOST_CLASSES = 24
"""Most classes in a confusion matrix: those with the most mistakes."""
CELL, NAMES = 34, 150
"""Side of a cell, and the room for the names."""


@dataclass(frozen=True)
class Curve:
    """A figure (upwards) against epochs (to the right)."""

    name: str
    line: str
    """The points in their order, as SVG's `points`."""
    last: tuple[float, float]
    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw_curve(name: str, points: Sequence[tuple[float, float]], *, percent: bool) -> Curve:
    """Place (epoch, value) pairs, at least one, with the axes from 0."""
    last = points[-1][0]
    highest = max(value for _, value in points)
    step = tick_step(highest)
    lines = max(1, -int(-highest // step))
    top = lines * step

    def place(epoch: float, value: float) -> tuple[float, float]:
        return LEFT + epoch / last * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    places = [place(*point) for point in points]
    every = max(1.0, tick_step(last))
    return Curve(
        name,
        " ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        places[-1],
        tuple(Tick(place(i * every, 0)[0], f"{i * every:g}") for i in range(int(last / every) + 1)),
        tuple(
            Tick(place(0, i * step)[1], f"{i * step:.0%}" if percent else f"{i * step:.3g}") for i in range(lines + 1)
        ),
    )


@dataclass(frozen=True)
class Cell:
    """One pair of a true class and an answer."""

    x: int
    y: int
    count: int
    share: float
    """The share of the true class's pictures, 0..1."""
    right: bool


@dataclass(frozen=True)
class Matrix:
    """True classes (rows) against answers (columns)."""

    names: tuple[tuple[int, str], ...]
    """The middle of each row or column, from the first cell, and its class."""
    cells: tuple[Cell, ...]
    left_out: int
    """Classes that are not drawn, as fewer of their pictures are confused."""
    cell: int = CELL
    margin: int = NAMES

    @property
    def side(self) -> int:
        """Width and height of the drawing."""
        return self.margin + len(self.names) * self.cell + 2


def draw_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Matrix:
    """Place the counts, rows true classes and columns answers."""
    mistakes = [sum(row) + sum(line[i] for line in confusion) - 2 * row[i] for i, row in enumerate(confusion)]
    chosen = sorted(sorted(range(len(classes)), key=lambda i: -mistakes[i])[:MOST_CLASSES])
    return Matrix(
        tuple((place * CELL + CELL // 2, classes[i]) for place, i in enumerate(chosen)),
        tuple(
            Cell(column * CELL, row * CELL, count, count / sum(confusion[i]), i == j)
            for row, i in enumerate(chosen)
            for column, j in enumerate(chosen)
            if (count := confusion[i][j])
        ),
        len(classes) - len(chosen),
    )
