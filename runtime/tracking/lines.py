"""Lines across the picture, and who went over one in which direction."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgevit.errors import ImageError, OptionError
from edgevit.runtime.images.named import check_named, check_names, check_unit, in_shares, parse_named, shown

Point = tuple[float, float]

CLEAR = 0.25
"""How far from a line a centre must be to be clearly on one side, as a share of the box's mean side."""


@dataclass(frozen=True)
class Line:
    """A named segment of a picture, from one end to the other."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float
    """In whole pixels from the upper left corner, or in shares of the picture if all four are at most 1."""

    def __post_init__(self) -> None:
        values = (self.x1, self.y1, self.x2, self.y2)
        check_named("line", self.name, *values)
        if min(values) < 0:
            raise OptionError(f"--line {self.name} is {shown(values)}, expected x1,y1,x2,y2 from 0")
        check_unit("line", self.name, *values)
        if values[:2] == values[2:]:
            raise OptionError(f"--line {self.name} is {shown(values)}: both ends are the same point; give it a length")

    def ends(self, size: tuple[int, int]) -> tuple[Point, Point]:
        """Return both ends in pixels of a picture of (height, width).

        Raises:
            ImageError: the line reaches beyond the picture.
        """
        height, width = size
        if in_shares(self.x1, self.y1, self.x2, self.y2):
            return (self.x1 * width, self.y1 * height), (self.x2 * width, self.y2 * height)
        right, bottom = max(self.x1, self.x2), max(self.y1, self.y2)
        if right > width or bottom > height:
            raise ImageError(
                f"line {self.name} reaches to {right:g}x{bottom:g}, but the picture is {width}x{height} pixels; give "
                "shares of the picture, such as 0.5,0,0.5,1, to fit any size"
            )
        return (self.x1, self.y1), (self.x2, self.y2)


def parse_line(text: str) -> Line:
    """Read "gate=0.5,0,0.5,1" or "gate=320,0,320,480".

    Raises:
        OptionError: it is something else.
    """
    name, values = parse_named(text, "--line", "name=x1,y1,x2,y2", "gate=0.5,0,0.5,1")
    return Line(name, *values)


def check_lines(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return them; OptionError if two have the same name."""
    check_names([line.name for line in lines], "lines", "--line")
    return tuple(lines)


@dataclass(frozen=True)
class Seen:
    """A thing that was found in this frame."""

    track: int
    label: str
    centre: Point
    """x and y in pixels."""
    side: float
    """Mean of its box's width and height."""


@dataclass(frozen=True)
class Crossing:
    """A thing that went over a line."""

    line: str
    track: int
    label: str
    inwards: bool
    counts: Mapping[str, int]
    """How many of this label went "in" and "out" over this line so far."""


@dataclass(frozen=True)
class _Passage:
    """Where one thing is with respect to one line."""

    centre: Point
    side: int
    """Where it was clearly last: -1 left, 1 right, 0 nowhere yet."""
    passed: int = 0
    """How often the way since then went over the segment from left to right, less how often back."""


@dataclass(frozen=True)
class LineState:
    """What is remembered of one line."""

    passages: Mapping[int, _Passage] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Label to how many went "in" and "out"."""

    def kept(self, living: set[int]) -> "LineState":
        """Forget the tracks that have ended; the counts stay."""
        return dataclasses.replace(self, passages={k: v for k, v in self.passages.items() if k in living})


def next_crossings(
    line: Line, state: LineState, seen: Sequence[Seen], size: tuple[int, int]
) -> tuple[LineState, tuple[Crossing, ...]]:
    """Take where things are in one frame of (height, width); return the new state, and who went over the line.

    "In" is from the left of the line to its right, as seen by somebody who walks from its first end to its second. A
    thing went over it when it was clearly on one side, its way led through the segment, and it is now clearly on the
    other: standing on the line and trembling counts nothing. Where it was hidden, its way is taken for straight.

    Raises:
        ImageError: the line reaches beyond the picture.
    """
    ends, passages, counts, crossings = line.ends(size), dict(state.passages), dict(state.counts), []
    for thing in seen:
        before = passages.get(thing.track) or _Passage(thing.centre, 0)
        passed = before.passed + _step(*ends, before.centre, thing.centre)
        distance = _distance(*ends, thing.centre)
        if abs(distance) < CLEAR * thing.side:
            passages[thing.track] = _Passage(thing.centre, before.side, passed)
            continue
        side = 1 if distance > 0 else -1
        passages[thing.track] = _Passage(thing.centre, side)
        if before.side == -side and passed == side:
            way = "in" if side > 0 else "out"
            so_far = {"in": 0, "out": 0, **counts.get(thing.label, {})}
            counts[thing.label] = so_far | {way: so_far[way] + 1}
            crossings.append(Crossing(line.name, thing.track, thing.label, side > 0, counts[thing.label]))
    return LineState(passages, counts), tuple(crossings)


def _distance(start: Point, end: Point, point: Point) -> float:
    """Return how far a point is from the endless line through two others; on its right, as y grows down, above 0."""
    (x1, y1), (x2, y2), (x, y) = start, end, point
    return ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / math.hypot(x2 - x1, y2 - y1)


def _step(start: Point, end: Point, before: Point, after: Point) -> int:
    """Return 1 if the straight way between two points goes over the segment from left to right, -1 back, else 0.

    A point on the line counts as on its right, so that a way in several steps adds up.
    """
    was, now = _distance(start, end, before), _distance(start, end, after)
    if (was >= 0) == (now >= 0):
        return 0
    share = was / (was - now)
    x, y = (b + share * (a - b) for b, a in zip(before, after, strict=True))
    (x1, y1), (x2, y2) = start, end
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2)
    return (1 if now >= 0 else -1) if 0 <= along <= 1 else 0
