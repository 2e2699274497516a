"""Made scenes of things that walk: where they truly are, what a detector would find, and how a tracker did.

A line stands upright in the middle of the picture. Who crosses it is known from the waypoints that made the scene.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import FoundBoxes, overlaps
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.moment import Moment
from edgevit.runtime.tracking.assignment import assign
from edgevit.runtime.tracking.follow import Follower, FollowRules
from edgevit.runtime.tracking.lines import parse_line

SIZE = (480, 640)
MIDDLE = 320.0
NAMES = ("hen", "fox")
SURE = 0.4
"""Score from which a box is shown."""
_BLANK = np.zeros((*SIZE, 3), np.uint8)


@dataclass(frozen=True)
class Walker:
    """A thing that goes from point to point."""

    stops: tuple[tuple[float, float, float], ...]
    """Time in seconds, x and y in pixels, of each waypoint; before the first and after the last it is not there."""
    sides: tuple[float, float] = (40.0, 30.0)
    """Width and height."""
    kind: int = 0

    def box(self, now_s: float) -> NDArray[np.float32] | None:
        """Return where it is, (4,); None if it is not there."""
        times, x, y = np.array(self.stops).T
        if not times[0] <= now_s <= times[-1]:
            return None
        cx, cy = np.interp(now_s, times, x), np.interp(now_s, times, y)
        w, h = self.sides
        return np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], np.float32)

    def crossings(self) -> tuple[int, int]:
        """Return how often it goes over the middle from right to left, and from left to right."""
        right = [x > MIDDLE for _, x, _ in self.stops]
        steps = list(zip(right, right[1:], strict=False))
        return steps.count((True, False)), steps.count((False, True))


@dataclass(frozen=True)
class Scene:
    """What is to be filmed, and how badly."""

    name: str
    walkers: tuple[Walker, ...]
    length_s: float
    frame_s: float = 0.1
    uneven: float = 0.3
    """How much a frame's time differs from the last, as a share."""
    missed: float = 0.05
    """Share of the boxes that are not found."""
    jitter: float = 0.03
    """Standard deviation of each side of a box, as a share of its width or height."""
    false: float = 0.2
    """Boxes of nothing, a frame, on average; a third of them with a score that is believed."""
    posts: tuple[tuple[float, float], ...] = ()
    """From which x to which something hides what is behind it."""


@dataclass(frozen=True, eq=False)
class FilmedFrame:
    time_s: float
    there: NDArray[np.int64]
    """(n,) which walkers are there."""
    boxes: NDArray[np.float32]
    """(n, 4) where they truly are."""
    found: FoundBoxes


@dataclass(frozen=True)
class Score:
    """How a tracker did; the first four as in Bernardin and Stiefelhagen, CLEAR MOT, 2008, with an overlap of 0.5."""

    truths: int
    missed: int
    false: int
    switches: int
    """How often a thing got another id than it had."""
    ids: int
    """Different ids that were given."""
    crossed: tuple[int, int]
    """Crossings that were found: in, out."""

    @property
    def mota(self) -> float:
        return 1 - (self.missed + self.false + self.switches) / max(1, self.truths)


def film(scene: Scene, seed: int) -> list[FilmedFrame]:
    """Return the frames of a scene, the same for the same seed."""
    draw, now_s, frames = np.random.default_rng(seed), 0.0, []
    while now_s <= scene.length_s:
        spots = [(i, box) for i, walker in enumerate(scene.walkers) if (box := walker.box(now_s)) is not None]
        there = np.array([i for i, _ in spots], np.int64)
        boxes = np.array([box for _, box in spots], np.float32).reshape(-1, 4)
        frames.append(FilmedFrame(now_s, there, boxes, _found(scene, draw, there, boxes)))
        now_s += scene.frame_s * draw.uniform(1 - scene.uneven, 1 + scene.uneven)
    return frames


def _found(scene: Scene, draw: np.random.Generator, there: NDArray[np.int64], boxes: NDArray[np.float32]) -> FoundBoxes:
    rows: list[tuple[NDArray[np.float32], float, int]] = []
    hiding = overlaps(boxes, boxes)
    for i, box in enumerate(boxes):
        score, chance = draw.normal(0.75, 0.1), draw.random()
        centre = (box[0] + box[2]) / 2
        if any(left < centre < right for left, right in scene.posts):
            continue
        # what stands further down the picture hides what is behind it
        nearer = [j for j in range(len(boxes)) if j != i and (boxes[j, 3], j) > (box[3], i)]
        hidden = max((float(hiding[i, j]) for j in nearer), default=0.0)
        if chance < scene.missed or (hidden > 0.5 and chance < 0.9):
            continue
        if hidden > 0.25:
            score *= 0.4
        width, height = box[2] - box[0], box[3] - box[1]
        trembled = box + draw.normal(0, scene.jitter, 4) * [width, height, width, height]
        rows.append((trembled.astype(np.float32), score, scene.walkers[there[i]].kind))
    for _ in range(draw.poisson(scene.false)):
        x, y, w, h = draw.uniform(0, 600), draw.uniform(0, 440), draw.uniform(15, 60), draw.uniform(15, 60)
        rows.append((np.array([x, y, x + w, y + h], np.float32), draw.uniform(0.1, 0.55), int(draw.integers(2))))
    rows = [row for row in rows if row[1] >= 0.1]
    order = sorted(range(len(rows)), key=lambda k: -rows[k][1])
    return FoundBoxes(
        np.array([rows[k][0] for k in order], np.float32).reshape(-1, 4),
        np.array([min(rows[k][1], 1.0) for k in order], np.float32),
        np.array([rows[k][2] for k in order], np.int64),
    )


def detections(found: FoundBoxes) -> Detections:
    """Return what a detector would say of it: boxes from SURE on count, the others are weak."""
    sure = found.scores >= SURE
    probs = np.zeros(len(NAMES), np.float32)
    np.maximum.at(probs, found.classes[sure], found.scores[sure])
    return Detections(
        probs=probs,
        names=NAMES,
        boxes=found.boxes[sure],
        scores=found.scores[sure],
        classes=found.classes[sure],
        weak=FoundBoxes(found.boxes[~sure], found.scores[~sure], found.classes[~sure]),
        image=_BLANK,
    )


def judge(frames: list[FilmedFrame], *, clock: Callable[[], float] | None = None) -> tuple[Score, list[float]]:
    """Follow the things of a film; return how that went, and what each frame took by the clock, in its unit."""
    follower = Follower(FollowRules(lines=(parse_line("gate=0.5,0,0.5,1"),)))
    missed = false = switches = 0
    last: dict[int, int] = {}
    ids: set[int] = set()
    crossed, took = [0, 0], []
    for number, frame in enumerate(frames):
        found, moment = detections(frame.found), Moment("yard", number, frame.time_s, frame.time_s)
        begun = clock() if clock else 0.0
        shown, events = follower.follow(found, moment, frame.time_s)
        took.append((clock() if clock else 0.0) - begun)
        for event in events:
            crossed[event.facts["direction"] == "out"] += 1
        assert shown.ids is not None
        told = shown.ids > 0
        pairs = _matched(frame, shown.boxes[told], shown.ids[told], last)
        missed, false = missed + len(frame.there) - len(pairs), false + int(told.sum()) - len(pairs)
        for walker, track in pairs.items():
            switches += last.get(walker, track) != track
            last[walker] = track
        ids |= set(shown.ids[told].tolist())
    score = Score(sum(len(each.there) for each in frames), missed, false, switches, len(ids), (crossed[0], crossed[1]))
    return score, took


def _matched(
    frame: FilmedFrame, boxes: NDArray[np.float32], ids: NDArray[np.int64], last: dict[int, int]
) -> dict[int, int]:
    """Return walker to track; who was found by a track stays with it as long as they overlap."""
    costs = np.asarray(1 - overlaps(frame.boxes, boxes), np.float64)
    for row, walker in enumerate(frame.there):
        costs[row, (ids == last.get(int(walker), 0)) & (costs[row] <= 0.5)] = -10
    pairs = assign(costs, 0.5)
    return {int(frame.there[row]): int(ids[column]) for row, column in pairs}


def passing() -> Scene:
    """Pairs that meet at the line, one in front of the other."""
    walkers = []
    for pair in range(6):
        begin, y = 4.0 * pair, 120.0 + 40 * pair
        walkers += [
            Walker(((begin, 40, y), (begin + 6, 600, y + 6))),
            Walker(((begin, 600, y + 8), (begin + 6, 40, y + 2)), sides=(44, 34)),
        ]
    return Scene("pairs that meet on the line", tuple(walkers), 27)


def posts() -> Scene:
    """Things that go behind a post where the line is, and come out on the other side."""
    walkers = [
        Walker(((2.0 * i, 40 if i % 2 else 600, 60.0 + 30 * i), (2.0 * i + 7, 600 if i % 2 else 40, 75.0 + 30 * i)))
        for i in range(12)
    ]
    return Scene("a post on the line", tuple(walkers), 32, posts=((285, 355),))


def flock(count: int, seed: int, length_s: float = 30.0) -> Scene:
    """Animals that walk about, turn and cross each other's ways."""
    draw, walkers = np.random.default_rng(seed), []
    for i in range(count):
        side, now_s = draw.integers(2), draw.uniform(0, length_s / 6)
        # its own row, but for some that change it
        row = 40 + 400 * (i + 0.5) / count
        size = float(draw.uniform(20, 34))
        stops = []
        while now_s < length_s:
            x = draw.uniform(40, 260) if side else draw.uniform(380, 600)
            stops.append((float(now_s), float(x), float(np.clip(row + draw.normal(0, 15), 20, 460))))
            now_s += draw.uniform(3, 7)
            side = 1 - side if draw.random() < 0.7 else side
        walkers.append(Walker(tuple(stops), (size * 1.3, size), int(draw.integers(2))))
    return Scene(f"{count} that walk about", tuple(walkers), length_s)


def sprinters() -> Scene:
    """Small fast things at two frames a second: from one frame to the next their boxes do not overlap."""
    walkers = [
        Walker(((3.0 * i, 30 if i % 2 else 610, 100.0 + 25 * i), (3.0 * i + 5, 610 if i % 2 else 30, 80.0 + 25 * i)),
               sides=(24, 18))
        for i in range(12)
    ]  # fmt: skip
    return Scene("small and fast, two frames a second", tuple(walkers), 40, frame_s=0.5, missed=0.02, false=0.1)


def loiterers() -> Scene:
    """Things that stand on the line for long, some of which go back and some over."""
    walkers = []
    for i in range(8):
        from_x, to_x = (40, 600) if i % 2 else (600, 40)
        end_x = to_x if i % 4 < 2 else from_x
        y = 40.0 + 55 * i
        rests = [(4.0 + k, MIDDLE + (2 if end_x > MIDDLE else -2), y) for k in range(20)]
        walkers.append(Walker(((0.0, from_x, y), *rests, (28.0, end_x, y))))
    return Scene("standing on the line", tuple(walkers), 28, jitter=0.04)


def scenes() -> tuple[Scene, ...]:
    """Those whose crossings must be counted exactly."""
    return passing(), posts(), flock(8, 1), flock(15, 2), sprinters(), loiterers()
