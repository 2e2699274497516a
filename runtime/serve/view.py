"""What the page shows: the newest picture with its answers, and the last events."""

import dataclasses
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.regions import Region, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.pictures import jpeg

EVENTS = 20
"""How many are shown."""
WIDTH = 960
"""Pixels across of the picture that is sent, at most."""
QUALITY = 75


@dataclass(frozen=True)
class Shown:
    """What belongs together at one moment."""

    number: int
    """Number of the picture among those shown; 0 before the first."""
    answers: tuple[Record, ...]
    """The newest frame's: one, or one for each region."""
    events: tuple[Record, ...]
    """Newest first."""


class View:
    """A sink that remembers the newest; pictures are prepared only when somebody looks, in his thread."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        """Show pictures of which these regions are judged; none for the whole."""
        self._regions = {region.name: region for region in regions}
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        # what follows is guarded by _changed
        self._pending: tuple[tuple[str, int], RGBImage] | None = None
        """Which frame of which source, and its picture."""
        self._image: RGBImage | None = None
        self._number = 0
        self._answers: Recent[str | None, Record] = Recent()
        self._frame: tuple[str, int] | None = None
        self._events: deque[Record] = deque(maxlen=EVENTS)
        self._over = False
        # guarded by _encoding
        self._encoded: tuple[int, bytes] = (0, b"")

    def picture(self, image: RGBImage, moment: Moment) -> None:
        """Take the whole (H, W, 3) picture; it is shown with its first answer."""
        with self._changed:
            self._pending = (_frame(moment), image)

    def write(self, record: Record) -> None:
        # twenty events with their frames would be as many pictures in memory
        record = dataclasses.replace(record, image=None, result=record.result if record.kind == RESULT else None)
        with self._changed:
            if record.kind != RESULT:
                self._events.appendleft(record)
                return
            if _frame(record.moment) != self._frame:
                self._answers.clear()
                self._frame = _frame(record.moment)
            self._answers[record.moment.roi] = record
            # further regions of the picture that is shown already colour it further
            if not self._publish(record.moment) and isinstance(record.result, Segmentation):
                self._number += 1
                self._changed.notify_all()

    def black(self, moment: Moment) -> None:
        """Show a picture that was not classified since nothing is on it."""
        with self._changed:
            self._answers.clear()
            self._frame = _frame(moment)
            self._publish(moment)

    def _publish(self, moment: Moment) -> bool:
        """Show the picture that waits, if it is this one."""
        if self._pending is None or self._pending[0] != _frame(moment):
            return False
        self._image, self._pending = self._pending[1], None
        self._number += 1
        self._changed.notify_all()
        return True

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Let nobody wait for another picture."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        return self._over

    def shown(self) -> Shown:
        with self._changed:
            return Shown(self._number, tuple(self._answers.values()), tuple(self._events))

    def next_jpeg(self, after: int, wait_s: float) -> tuple[int, bytes] | None:
        """Wait for a picture newer than number `after`; return its number and its JPEG, None if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._number > after, wait_s)
            number, image, answers = self._number, self._image, tuple(self._answers.values())
        if number <= after or image is None or self._over:
            return None
        with self._encoding:
            if self._encoded[0] < number:
                self._encoded = (number, jpeg(_small(self._coloured(image, answers)), QUALITY))
            return self._encoded

    def _coloured(self, image: RGBImage, answers: tuple[Record, ...]) -> RGBImage:
        """Return the picture with its segmentation over it, or itself where there is none."""
        segmented = {record.moment.roi: record.result for record in answers if isinstance(record.result, Segmentation)}
        if not segmented:
            return image
        coloured = image.copy()
        for roi, result in segmented.items():
            part = cut(coloured, self._regions[roi]) if roi in self._regions else coloured
            part[:] = result.overlay()
        return coloured


def _frame(moment: Moment) -> tuple[str, int]:
    return moment.source, moment.sequence


def _small(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
