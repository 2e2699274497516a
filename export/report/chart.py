"""Where the points, axes and grid lines of the report's chart lie, in the units of its drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgevit.export.report.facts import SearchPoint

WIDTH, HEIGHT = 480, 280
LEFT, RIGHT, TOP, BOTTOM = 60, 26, 20, 54
"""Margins, which hold the labels of the axes."""


@dataclass(frozen=True)
class Tick:
    """A grid line and its label."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A point of the chart."""

    x: float
    y: float
    point: SearchPoint


@dataclass(frozen=True)
class Chart:
    """Score (upwards) against share of int8 (to the right)."""

    marks: tuple[Mark, ...]
    """Without float32's, which has no int8."""
    float32: float
    """Height of float32's score."""
    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    @property
    def line(self) -> str:
        """The points in their order, as SVG's `points`."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


def draw_chart(points: Sequence[SearchPoint]) -> Chart | None:
    """Place the points; the first is float32's. None if there is no other."""
    float32, *others = points
    if not others:
        return None
    first = min(0.9, math.floor(10 * min(point.int8_mac_share for point in others)) / 10)
    scores = [point.score for point in points]
    step = tick_step(max(scores) - min(scores))
    low = math.floor(min(scores) / step - 0.5) * step
    high = math.ceil(max(scores) / step + 0.5) * step

    def x(share: float) -> float:
        return LEFT + (share - first) / (1 - first) * (WIDTH - LEFT - RIGHT)

    def y(score: float) -> float:
        return TOP + (high - score) / (high - low) * (HEIGHT - TOP - BOTTOM)

    rows = [low + i * step for i in range(round((high - low) / step) + 1)]
    columns = [first + i * (1 - first) / 5 for i in range(6)]
    digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
    return Chart(
        marks=tuple(Mark(x(point.int8_mac_share), y(point.score), point) for point in others),
        float32=y(float32.score),
        columns=tuple(Tick(x(share), f"{share:.0%}") for share in columns),
        rows=tuple(Tick(y(score), f"{score:.{digits}%}") for score in rows if score < 1 + step / 2),
    )


def tick_step(span: float) -> float:
    """Return a distance of grid lines, 1, 2 or 5 of some power of ten, that gives at most four over a span."""
    least = max(span, 0.002) / 4
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
