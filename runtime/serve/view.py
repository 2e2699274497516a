"""What the page shows: the newest picture with its answers, and the last events."""

import dataclasses
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.draw import annotate, draw_regions
from edgevit.runtime.images.regions import Region, bounds, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import FrameKey, Moment
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.lines import now_text
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
    several: bool = False
    """Whether answers of several sources are shown."""


class View:
    """A sink that remembers the newest; pictures are prepared only when somebody looks, in his thread."""

    def __init__(self, regions: Iterable[Region] = (), *, several: bool = False) -> None:
        """Show pictures of which these regions are judged; none for the whole.

        Of `several` sources that are read at the same time the newest answers of each are shown, and the newest picture
        says whose it is.
        """
        self._regions = {region.name: region for region in regions}
        self._several = several
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        # what follows is guarded by _changed
        self._pending: tuple[FrameKey, RGBImage] | None = None
        """Which frame of which source, and its picture."""
        self._image: RGBImage | None = None
        self._source = ""
        """Whose picture it is."""
        self._number = 0
        self._answers: Recent[str, dict[str | None, Record]] = Recent()
        """By source and region."""
        self._frames: Recent[str, FrameKey] = Recent()
        self._events: deque[Record] = deque(maxlen=EVENTS)
        self._over = False
        # guarded by _encoding
        self._encoded: tuple[int, bytes] = (0, b"")

    def picture(self, image: RGBImage, moment: Moment) -> None:
        """Take the whole (H, W, 3) picture; it is shown with its first answer."""
        with self._changed:
            self._pending = (moment.frame, image)

    def show(self, image: RGBImage, moment: Moment) -> None:
        """Show an (H, W, 3) picture for which there is no answer."""
        self.picture(image, moment)
        self.black(moment)

    def write(self, record: Record) -> None:
        # twenty events with their frames would be as many pictures in memory
        answer = record.result if record.kind == RESULT else None
        record = dataclasses.replace(record, image=None, scene=None, result=answer)
        with self._changed:
            if record.kind != RESULT:
                self._events.appendleft(record)
                return
            self._begin(record.moment)
            self._answers[record.moment.source][record.moment.roi] = record
            # further regions of the picture that is shown already are drawn on it
            drawn = isinstance(record.result, Segmentation) or record.moment.roi in self._regions
            if not self._publish(record.moment) and drawn:
                self._number += 1
                self._changed.notify_all()

    def black(self, moment: Moment) -> None:
        """Show a picture that was not classified since nothing is on it."""
        with self._changed:
            self._begin(moment)
            self._publish(moment)

    def _begin(self, moment: Moment) -> None:
        """Forget the answers for the frame before."""
        if self._frames.get(moment.source) == moment.frame:
            return
        if not self._several:
            self._answers.clear()
        self._answers[moment.source] = {}
        self._frames[moment.source] = moment.frame

    def _publish(self, moment: Moment) -> bool:
        """Show the picture that waits, if it is this one."""
        if self._pending is None or self._pending[0] != moment.frame:
            return False
        self._image, self._pending, self._source = self._pending[1], None, moment.source
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
            answers = tuple(record for each in self._answers.values() for record in each.values())
            return Shown(self._number, answers, tuple(self._events), several=self._several)

    def newest(self) -> tuple[int, RGBImage] | None:
        """Return the number and the (H, W, 3) picture that is shown, with nothing drawn on it; None before it."""
        with self._changed:
            return None if self._image is None else (self._number, self._image)

    def next_jpeg(self, after: int, wait_s: float) -> tuple[int, bytes] | None:
        """Wait for a picture newer than number `after`; return its number and its JPEG, None if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._number > after, wait_s)
            number, image, source = self._number, self._image, self._source
            answers = tuple(self._answers.get(source, {}).values())
        if number <= after or image is None or self._over:
            return None
        with self._encoding:
            if self._encoded[0] < number:
                self._encoded = (number, jpeg(self._drawn(image, source, answers), QUALITY))
            return self._encoded

    def _drawn(self, image: RGBImage, source: str, answers: tuple[Record, ...]) -> RGBImage:
        """Return the picture as it is shown: small, with its segmentation or boxes, its regions, and its source."""
        shown = _small(self._coloured(image, answers))
        for record in answers:
            # those of its regions are the same boxes
            if isinstance(record.result, Detections) and record.moment.roi is None:
                shown = record.result.draw_on(shown)
        marked = [
            (_scaled(self._regions[record.moment.roi], image, shown), now_text(record.result, record.present))
            for record in answers
            if record.moment.roi in self._regions and record.result is not None
        ]
        shown = draw_regions(shown, marked) if marked else shown
        return annotate(shown, source) if self._several else shown

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


def _scaled(region: Region, image: RGBImage, shown: RGBImage) -> Region:
    """Return a region of a picture as one of its smaller copy, in shares."""
    left, top, right, bottom = bounds(region, image.shape[:2])
    height, width = image.shape[:2]
    return Region(region.name, left / width, top / height, (right - left) / width, (bottom - top) / height)


def _small(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
