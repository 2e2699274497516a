"""What a label file says of one picture, and the boxes that it comes to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.datasets.listing import LeftOut
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.runtime.images.header import Header

Sides = NDArray[np.float64]
"""(n, 4) left, top, right, bottom."""

SHARES = (1, 1)
"""Size of the picture where sides are shares of it."""

_SAME_FORM = 0.01
"""Difference of two pictures' aspect ratios up to which one is taken for the other, scaled."""
_ROUNDING = 1.0
"""A box that reaches beyond the picture by no more pixels than this was rounded, and nobody is told."""
_FARTHEST = 1e9
_SMALLEST = 0.01
"""Pixels that a side must have within the picture."""


class Mark(NamedTuple):
    """One object."""

    label: str
    sides: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    crowd: bool = False


@dataclass(frozen=True)
class Marked:
    """What a label file says of one picture."""

    where: str
    """The file, for messages."""
    marks: Sequence[Mark]
    size: tuple[float, float] | None = None
    """(height, width) of the picture that the sides are told of, SHARES for shares of it; None where it is not told."""


@dataclass
class Tally:
    """How often what was written was not taken as it stands, and where first."""

    boxes: Counter[str] = field(default_factory=Counter)
    """Boxes that were left out, by reason."""
    remarks: Counter[str] = field(default_factory=Counter)
    """Else, by what was done."""
    _first: dict[str, str] = field(default_factory=dict)

    def leave_out(self, reason: str, where: str, count: int = 1) -> None:
        self._add(self.boxes, reason, where, count)

    def remark(self, text: str, where: str, count: int = 1) -> None:
        self._add(self.remarks, text, where, count)

    def _add(self, counter: Counter[str], text: str, where: str, count: int) -> None:
        if count:
            counter[text] += count
            self._first.setdefault(text, where)

    def told(self, counter: Counter[str]) -> Counter[str]:
        """Return a counter whose texts say where the first was."""
        return Counter({f"{text} (the first in {self._first[text]})": count for text, count in counter.items()})


@dataclass(frozen=True)
class MarkedPart:
    """Pictures of a part, and what label files say of them."""

    home: Path
    paths: tuple[Path, ...]
    marked: tuple[Marked, ...]
    left_out: LeftOut = field(default_factory=LeftOut)
    remarks: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)

    def subset(self, indices: Sequence[int]) -> "MarkedPart":
        """Return some of the pictures, in the order of the indices."""
        return replace(self, paths=tuple(self.paths[i] for i in indices), marked=tuple(self.marked[i] for i in indices))

    def without_facts(self) -> "MarkedPart":
        """Return the pictures without what was left out and remarked, so that it is told of another part only."""
        return MarkedPart(self.home, self.paths, self.marked)


def true_boxes(marked: Marked, header: Header, classes: Mapping[str, int], tally: Tally) -> TrueBoxes | None:
    """Return the boxes in pixels of the upright picture; None where they were marked in a picture of another form.

    Boxes are cut at the picture's edge. One without extent, or wholly beyond the edge, is left out, and so is one that
    is there twice; the tally counts them.
    """
    marks = marked.marks
    sides = np.array([mark.sides for mark in marks], np.float64).reshape(-1, 4).clip(-_FARTHEST, _FARTHEST)
    in_pixels = _in_pixels(sides, marked, header, tally)
    if in_pixels is None:
        return None
    height, width = upright_size(header)
    within = in_pixels.clip(0, (width, height, width, height))
    numbers = np.array([classes[mark.label] for mark in marks], np.int64)
    crowd = np.array([mark.crowd for mark in marks], np.bool_)

    solid = _shorter_side(in_pixels) > 0
    inside = _shorter_side(within) >= _SMALLEST
    first = _are_first(np.column_stack((numbers, within.round(3))))
    kept = solid & inside & first
    cut = kept & (np.abs(within - in_pixels).max(axis=1, initial=0) > _ROUNDING)
    tally.leave_out("without extent", marked.where, int((~solid).sum()))
    tally.leave_out("outside of the picture", marked.where, int((solid & ~inside).sum()))
    tally.leave_out("marked twice", marked.where, int((solid & inside & ~first).sum()))
    tally.remark("boxes cut at the edge of the picture", marked.where, int(cut.sum()))
    return TrueBoxes(within[kept].astype(np.float32), numbers[kept], crowd[kept])


def upright_size(header: Header) -> tuple[int, int]:
    """Return (height, width) of a picture once it is turned as its orientation says."""
    return (header.width, header.height) if header.orientation >= 5 else (header.height, header.width)


def turned_sides(sides: Sides, header: Header) -> Sides:
    """Return boxes of a picture as it is stored as boxes of the upright one."""
    left, top, right, bottom = sides.T
    mirrored, flipped = (header.width - right, header.width - left), (header.height - bottom, header.height - top)
    x, y = (left, right), (top, bottom)
    across, down = {
        1: (x, y),
        2: (mirrored, y),
        3: (mirrored, flipped),
        4: (x, flipped),
        5: (y, x),
        6: (flipped, x),
        7: (flipped, mirrored),
        8: (y, mirrored),
    }[header.orientation]
    return np.stack((across[0], down[0], across[1], down[1]), axis=1)


def _in_pixels(sides: Sides, marked: Marked, header: Header, tally: Tally) -> Sides | None:
    height, width = upright_size(header)
    if marked.size is None or marked.size == (height, width):
        return sides
    told_height, told_width = marked.size
    scale = np.array((width / told_width, height / told_height) * 2)
    if marked.size == SHARES:
        return np.asarray(sides * scale)
    if marked.size == (header.height, header.width):
        tally.remark("pictures marked before they were turned as their camera says, boxes turned too", marked.where)
        return turned_sides(sides, header)
    if abs(scale[0] / scale[1] - 1) <= _SAME_FORM:
        tally.remark("pictures of another size than the labels say, boxes scaled", marked.where)
        return np.asarray(sides * scale)
    return None


def _shorter_side(sides: Sides) -> Sides:
    return np.asarray((sides[:, 2:] - sides[:, :2]).min(axis=1, initial=np.inf))


def _are_first(rows: Sides) -> NDArray[np.bool_]:
    """Return for each row whether none before it is equal."""
    first = np.zeros(len(rows), np.bool_)
    first[np.unique(rows, axis=0, return_index=True)[1]] = True
    return first
