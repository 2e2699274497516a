"""Which box is which thing: tracks by association of boxes, the sure ones first, then the doubtful ones.

ByteTrack (Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022,
arXiv 2110.06864), with real times in place of frame numbers, classes kept apart, and a last step by distance for what
moves further between two frames than it is large. The kept libraries that do this (norfair, motpy, supervision) bring
SciPy, which is larger than all the rest of a board's install.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import FoundBoxes, overlaps
from edgevit.runtime.tracking.assignment import assign
from edgevit.runtime.tracking.motion import Motion

Indices = NDArray[np.int64]

MOST = 1000
"""Tracks that are remembered."""
_FOUND = 0.2
"""Overlap with where it was expected, from which a sure box belongs to a track."""
_DOUBTFUL = 0.5
"""The same for a box whose score is low, and a track that was seen in the frame before."""
_FIRST = 0.3
"""The same for a track of one frame."""
_DEVIATIONS = 3.0
"""How many standard deviations a box may be from where its track was expected, if they do not overlap."""
_REACH = 6.0
"""How many of its mean sides it may be from there."""
_LOST_REACH = 2.0
"""The same for a track that was not seen in the frame before: something else may stand there by now."""
_GROWTH = 2.5
"""By what factor its area may have changed then."""


@dataclass(frozen=True)
class TrackRules:
    """When a track begins and ends."""

    lost_s: float = 2.0
    """How long a thing that is not found is remembered, in seconds."""
    lost_frames: int = 3
    """For how many frames it is remembered at least, where frames are few."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """All tracks of one source."""

    motion: Motion = field(default_factory=lambda: Motion.begun(np.zeros((0, 4), np.float32)))
    ids: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) from 1; 0 for a track of one frame, which may be a mistake of the model."""
    classes: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    seen_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(n,) when it was found last."""
    missed: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) in how many frames since then it was not."""
    now_s: float = 0.0
    """The time of the last frame."""
    next_id: int = 1

    def after_gap(self) -> "Tracks":
        """Forget all things, as when the source was lost; no id is given again."""
        return Tracks(next_id=self.next_id)

    def taken(self, index: Indices) -> "Tracks":
        """Return some of them."""
        return Tracks(
            self.motion.taken(index),
            self.ids[index],
            self.classes[index],
            self.seen_s[index],
            self.missed[index],
            self.now_s,
            self.next_id,
        )


def next_tracks(
    rules: TrackRules, tracks: Tracks, found: FoundBoxes, sure: NDArray[np.bool_], now_s: float
) -> tuple[Tracks, Indices]:
    """Take what was found in one frame; return the tracks, and the (m,) id of each box.

    Args:
        rules: when a track begins and ends.
        tracks: as they were after the frame before.
        found: all boxes, also those that are too doubtful to be shown.
        sure: (m,) whether each is to be believed: others continue tracks, but begin none.
        now_s: the frame's time in seconds; a time before the last frame's counts as that one's.

    Returns:
        The new tracks; and ids from 1, 0 for a box that belongs to no track of at least two frames.
    """
    now_s = max(now_s, tracks.now_s) if len(tracks.ids) else now_s
    motion = tracks.motion.after(now_s - tracks.now_s) if len(tracks.ids) else tracks.motion
    partner = _associated(tracks, motion, found, sure)
    matched = partner >= 0
    unseen_s = now_s - tracks.seen_s
    # a track of one frame that is not found again was a mistake, or gone too fast to be told from one
    kept = matched | ((tracks.ids > 0) & ((unseen_s <= rules.lost_s) | (tracks.missed + 1 <= rules.lost_frames)))
    ids, next_id = tracks.ids.copy(), tracks.next_id
    for index in np.flatnonzero(matched & (ids == 0)):
        ids[index], next_id = next_id, next_id + 1
    motion = _corrected(motion, found, partner, unseen_s)
    taken = np.zeros(len(found.scores), np.int64)
    taken[partner[matched]] = ids[matched]
    begun = sure.copy()
    begun[partner[matched]] = False
    fresh = np.flatnonzero(begun)
    all_tracks = Tracks(
        motion.joined(Motion.begun(found.boxes[fresh])),
        np.concatenate([ids, np.zeros(len(fresh), np.int64)]),
        np.concatenate([tracks.classes, found.classes[fresh]]),
        np.concatenate([np.where(matched, now_s, tracks.seen_s), np.full(len(fresh), now_s)]),
        np.concatenate([np.where(matched, 0, tracks.missed + 1), np.zeros(len(fresh), np.int64)]),
        now_s,
        next_id,
    )
    living = np.flatnonzero(np.concatenate([kept, np.ones(len(fresh), np.bool_)]))
    if len(living) > MOST:
        living = np.sort(living[np.argsort(-all_tracks.seen_s[living], kind="stable")[:MOST]])
    return all_tracks.taken(living), taken


def _corrected(motion: Motion, found: FoundBoxes, partner: Indices, unseen_s: NDArray[np.float64]) -> Motion:
    """Return the motion of all tracks, those with a partner corrected by its box."""
    matched = np.flatnonzero(partner >= 0)
    if not len(matched):
        return motion
    better = motion.taken(matched).corrected(found.boxes[partner[matched]], unseen_s[matched])
    order = np.arange(len(partner))
    order[matched] = len(partner) + np.arange(len(matched))
    return motion.joined(better).taken(order)


def _associated(tracks: Tracks, motion: Motion, found: FoundBoxes, sure: NDArray[np.bool_]) -> Indices:
    """Return for each track the box that it was found in; -1 for none."""
    partner = np.full(len(tracks.ids), -1)
    if not len(partner) or not len(sure):
        return partner
    same = tracks.classes[:, None] == found.classes[None]
    apart = np.where(same, 1.0 - overlaps(motion.boxes, found.boxes), np.inf)
    deviations, reach = motion.distances(found.boxes)
    growth = np.abs(np.log(_area(motion.boxes)[:, None] / _area(found.boxes)[None]))
    confirmed, last_seen = tracks.ids > 0, tracks.missed == 0
    furthest = np.where(last_seen, _REACH, _LOST_REACH)[:, None]
    near = np.where(same & (reach <= furthest) & (growth <= np.log(_GROWTH)), deviations, np.inf)
    free = np.ones(len(sure), np.bool_)
    for rows, columns, costs, limit in (
        (confirmed, sure, apart, 1 - _FOUND),
        (confirmed & last_seen, ~sure, apart, 1 - _DOUBTFUL),
        (confirmed, sure, near, _DEVIATIONS),
        (~confirmed, sure, apart, 1 - _FIRST),
        (~confirmed, sure, near, _DEVIATIONS),
    ):
        row, column = np.flatnonzero(rows & (partner < 0)), np.flatnonzero(columns & free)
        for i, j in assign(np.asarray(costs[np.ix_(row, column)], np.float64), limit):
            partner[row[i]], free[column[j]] = column[j], False
    return partner


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float64)
