"""Where the lines of a run's curves lie, in the units of its page's drawings."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevit.export.report.chart import Tick, tick_step

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 36
"""Margins, which hold the labels of the axes."""


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
