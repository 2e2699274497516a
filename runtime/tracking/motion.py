"""Where things are and how fast they move: a Kalman filter for many boxes at once, in real time.

As in SORT (Bewley et al., Simple Online and Realtime Tracking, ICIP 2016) a centre keeps its speed. Other than there,
time is in seconds and not in frames, as a board's frames come unevenly: the longer nobody looked, the less is known.
Sides wander without speed of their own, so that no box grows or vanishes while its thing is hidden.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.detection.boxes import Boxes

Floats = NDArray[np.float64]

MEASURED = 1 / 20
"""Standard deviation of a found box's centre, as a share of the box's mean side; ByteTrack's value."""
FIRST_SPEED = 2.0
"""Standard deviation of the speed of a thing just found, in sides a second."""
SPEED_CHANGE = 4.0
"""How much a speed may change within a second, in sides a second: animals stop and turn at once. ByteTrack's 1/160 of a
side each frame makes about 1 at 30 frames a second; 4 gave a third of the changed ids of 2 on made scenes."""
SIDE_GAIN_S = 0.1
"""Time after which a newly found side counts half."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What is known of n things; across and down are equally uncertain."""

    centre: Floats
    """(n, 2) x and y in pixels."""
    speed: Floats
    """(n, 2) in pixels a second."""
    sides: Floats
    """(n, 2) width and height in pixels."""
    covariance: Floats
    """(n, 3): variance of the centre, its covariance with the speed, and the variance of the speed."""

    @classmethod
    def begun(cls, boxes: Boxes) -> "Motion":
        """Return what is known of things that were found for the first time."""
        centre, sides = split(boxes)
        side = sides.mean(axis=1)
        known = np.stack([(MEASURED * side) ** 2, np.zeros(len(side)), (FIRST_SPEED * side) ** 2], axis=1)
        return cls(centre, np.zeros_like(centre), sides, known)

    @property
    def boxes(self) -> Boxes:
        """Return the (n, 4) boxes, left, top, right, bottom."""
        return np.concatenate([self.centre - self.sides / 2, self.centre + self.sides / 2], axis=1).astype(np.float32)

    @property
    def side(self) -> Floats:
        """(n,) mean of width and height."""
        return np.asarray(self.sides.mean(axis=1), np.float64)

    def after(self, passed_s: float) -> "Motion":
        """Return what is known so many seconds later, if nobody looked."""
        place, both, speed = self.covariance.T
        wander = (SPEED_CHANGE * self.side) ** 2
        covariance = np.stack(
            [
                place + passed_s * (2 * both + passed_s * speed) + wander * passed_s**3 / 3,
                both + passed_s * speed + wander * passed_s**2 / 2,
                speed + wander * passed_s,
            ],
            axis=1,
        )
        return Motion(self.centre + passed_s * self.speed, self.speed, self.sides, covariance)

    def corrected(self, found: Boxes, unseen_s: Floats) -> "Motion":
        """Return what is known after each was found in its (n, 4) box, having been unseen for (n,) seconds."""
        centre, sides = split(found)
        place, both, speed = self.covariance.T
        total = place + (MEASURED * self.side) ** 2
        gain, speed_gain = place / total, both / total
        off = centre - self.centre
        covariance = np.stack([(1 - gain) * place, (1 - gain) * both, speed - speed_gain * both], axis=1)
        trust = (1 - 0.5 ** (np.maximum(unseen_s, SIDE_GAIN_S / 3) / SIDE_GAIN_S))[:, None]
        return Motion(
            self.centre + gain[:, None] * off,
            self.speed + speed_gain[:, None] * off,
            self.sides + trust * (sides - self.sides),
            covariance,
        )

    def distances(self, found: Boxes) -> tuple[Floats, Floats]:
        """Return how far each of (m, 4) boxes is from each thing: in standard deviations, and in mean sides; (n, m)."""
        centre, _ = split(found)
        pixels = np.linalg.norm(self.centre[:, None] - centre[None], axis=2)
        deviation = np.sqrt(self.covariance[:, 0] + (MEASURED * self.side) ** 2)
        return pixels / deviation[:, None], pixels / self.side[:, None]

    def taken(self, index: NDArray[np.int64]) -> "Motion":
        """Return what is known of some of them."""
        return Motion(self.centre[index], self.speed[index], self.sides[index], self.covariance[index])

    def joined(self, other: "Motion") -> "Motion":
        """Return what is known of both, these first."""
        pairs = zip(self._arrays, other._arrays, strict=True)
        return Motion(*(np.concatenate(pair) for pair in pairs))

    @property
    def _arrays(self) -> tuple[Floats, ...]:
        return self.centre, self.speed, self.sides, self.covariance


def split(boxes: Boxes) -> tuple[Floats, Floats]:
    """Return the (n, 2) centres and (n, 2) sides, of at least a pixel, of (n, 4) boxes."""
    corners = np.asarray(boxes, np.float64)
    return (corners[:, :2] + corners[:, 2:]) / 2, np.maximum(corners[:, 2:] - corners[:, :2], 1.0)
