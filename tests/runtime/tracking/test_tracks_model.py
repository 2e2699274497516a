"""Tracks against a naive model: one object for each thing, and of all pairings each is tried."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
from hypothesis import assume, given, settings

from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.tracking.motion import Motion
from edgevit.runtime.tracking.tracks import TrackRules, Tracks, next_tracks

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Found:
    box: Box
    sure: bool
    kind: int


@dataclass
class Thing:
    """A track; how it moves is the filter's, which tests of its own hold to a textbook."""

    motion: Motion
    kind: int
    seen_s: float
    number: int = 0
    missed: int = 0

    @property
    def box(self) -> list[float]:
        box: list[float] = self.motion.boxes[0].tolist()
        return box


def as_boxes(box: Box) -> np.ndarray:
    return np.array([box], np.float32)


def iou(one: list[float], other: Box) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return width * height / (areas - width * height)


def pairings(rows: int, columns: int) -> Iterator[tuple[int | None, ...]]:
    for chosen in itertools.product([None, *range(columns)], repeat=rows):
        taken = [column for column in chosen if column is not None]
        if len(taken) == len(set(taken)):
            yield chosen


def cheapest(costs: list[list[float]], limit: float) -> list[tuple[int, int]]:
    """Return the pairs that cost least, who has none costing the limit; examples with two such answers are left out."""
    found = []
    for chosen in pairings(len(costs), len(costs[0]) if costs else 0):
        pairs = [(row, column) for row, column in enumerate(chosen) if column is not None]
        if all(costs[row][column] < limit for row, column in pairs):
            found.append((sum(costs[row][column] - limit for row, column in pairs), pairs))
    found.sort(key=lambda one: one[0])
    assume(len(found) < 2 or found[1][0] - found[0][0] > 1e-5)
    return found[0][1] if found else []


class Naive:
    """All things of one source."""

    def __init__(self) -> None:
        self.things: list[Thing] = []
        self.now_s = 0.0
        self.next_number = 1

    def apart(self, thing: Thing, found: Found) -> float:
        return 1 - iou(thing.box, found.box) if thing.kind == found.kind else math.inf

    def distance(self, thing: Thing, found: Found) -> float:
        deviations, sides = (float(value[0, 0]) for value in thing.motion.distances(as_boxes(found.box)))
        own = (thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1])
        other = (found.box[2] - found.box[0]) * (found.box[3] - found.box[1])
        far = sides > (6.0 if thing.missed == 0 else 2.0)
        return math.inf if thing.kind != found.kind or far or not 0.4 <= own / other <= 2.5 else deviations

    def see(self, found: list[Found], now_s: float) -> list[int]:
        """Take a frame; return the number of each box's thing, 0 for none or one that was seen once."""
        if self.things:
            for thing in self.things:
                thing.motion = thing.motion.after(now_s - self.now_s)
        partner: dict[int, Thing] = {}

        def pair(
            wanted: Callable[[Thing], bool], sure: bool, cost: Callable[[Thing, Found], float], limit: float
        ) -> None:
            taken = [id(thing) for thing in partner.values()]
            things = [thing for thing in self.things if wanted(thing) and id(thing) not in taken]
            free = [k for k, each in enumerate(found) if each.sure is sure and k not in partner]
            if things and free:
                costs = [[cost(thing, found[k]) for k in free] for thing in things]
                for row, column in cheapest(costs, limit):
                    partner[free[column]] = things[row]

        pair(lambda thing: thing.number > 0, True, self.apart, 0.8)
        pair(lambda thing: thing.number > 0 and thing.missed == 0, False, self.apart, 0.5)
        pair(lambda thing: thing.number > 0, True, self.distance, 3.0)
        pair(lambda thing: thing.number == 0, True, self.apart, 0.7)
        pair(lambda thing: thing.number == 0, True, self.distance, 3.0)
        by_thing = {id(thing): k for k, thing in partner.items()}
        for thing in list(self.things):
            if id(thing) not in by_thing:
                thing.missed += 1
                if thing.number == 0 or (now_s - thing.seen_s > 2.0 and thing.missed > 3):
                    self.things.remove(thing)
                continue
            box = as_boxes(found[by_thing[id(thing)]].box)
            thing.motion = thing.motion.corrected(box, np.array([now_s - thing.seen_s]))
            if thing.number == 0:
                thing.number, self.next_number = self.next_number, self.next_number + 1
            thing.seen_s, thing.missed = now_s, 0
        begun = [Thing(Motion.begun(as_boxes(one.box)), one.kind, now_s) for k, one in enumerate(found)
                 if one.sure and k not in partner]  # fmt: skip
        self.things += begun
        self.now_s = now_s
        return [partner[k].number if k in partner else 0 for k in range(len(found))]


@st.composite
def films(draw: st.DrawFn) -> list[tuple[float, list[Found]]]:
    """Return frames of up to three walkers that stop, jump, are found doubtfully or not at all."""
    walkers = [
        [draw(st.integers(20, 300)), draw(st.integers(20, 200)), draw(st.integers(0, 1)), draw(st.integers(15, 40))]
        for _ in range(draw(st.integers(1, 3)))
    ]
    now_s, frames = 0.0, []
    for _ in range(draw(st.integers(3, 8))):
        now_s += draw(st.sampled_from([0.1, 0.1, 0.5, 1.1]))
        found = []
        for walker in walkers:
            walker[0] += draw(st.sampled_from([-60, -7, 0, 3, 11, 45]))
            walker[1] += draw(st.sampled_from([0, 0, 2, -5]))
            how = draw(st.sampled_from(["sure", "sure", "sure", "doubtful", "not"]))
            x, y, kind, side = walker
            if how != "not":
                found.append(Found((x, y, x + side, y + side + 4), how == "sure", kind))
        frames.append((now_s, found))
    return frames


@given(films())
@settings(max_examples=100)
def test_numbers_are_those_of_the_naive_model(frames: list[tuple[float, list[Found]]]) -> None:
    tracks, model = Tracks(), Naive()
    for now_s, found in frames:
        boxes = FoundBoxes(
            np.array([one.box for one in found], np.float32).reshape(-1, 4),
            np.array([0.9 if one.sure else 0.2 for one in found], np.float32),
            np.array([one.kind for one in found], np.int64),
        )
        tracks, ids = next_tracks(TrackRules(), tracks, boxes, boxes.scores >= 0.5, now_s)
        assert ids.tolist() == model.see(found, now_s)
        assert sorted(tracks.ids.tolist()) == sorted(thing.number for thing in model.things)
