"""Frames as pictures: annotated ones, a video of them, and the hard ones for the next training."""

import errno
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from edgevit.errors import OutputError
from edgevit.runtime.detection.result import NOTHING, Detections
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.draw import annotate, draw_regions
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.lines import event_text, now_text
from edgevit.schema import Range, Share, check_options
from edgevit.system.files import make_folders

log = logging.getLogger(__name__)

CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "mp4v"}
"""An .avi of JPEGs can be read up to where the power went; an .mp4 that was not closed cannot be read at all."""

LEFT_FREE = 10_000_000
"""Bytes of the disk that a video leaves free."""


def jpeg(image: RGBImage, quality: int = 90) -> bytes:
    """Return an (H, W, 3) image as a JPEG file."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OutputError(f"a picture of shape {image.shape} cannot be encoded as JPEG")
    return np.asarray(data).tobytes()


@dataclass(frozen=True)
class Captions:
    """What is written on frames."""

    top_k: int = 1
    """Classes of an answer."""
    rules: LabelRules = LabelRules()
    """Classes below their thresholds are left out."""
    answers: int = 1
    """How many belong to a frame: one for each region, and of a detection one more, for the whole of it."""

    def text(self, record: Record) -> str:
        if record.kind == RESULT and record.result is not None:
            return now_text(record.result, record.present, self.top_k, self.rules)
        return event_text(record)

    def drawn(self, records: Sequence[Record]) -> RGBImage | None:
        """Return the (H, W, 3) scene of one frame's records with their texts; None where there is no picture."""
        first = records[0]
        scene = first.image if first.scene is None else first.scene
        if scene is None:
            return None
        if isinstance(first.result, Detections):
            scene = first.result.draw_on(scene)
        marked = [(record.region, self.text(record)) for record in records if record.region is not None]
        scene = draw_regions(scene, marked) if marked else scene
        return annotate(scene, self.text(first)) if first.region is None else scene


class FrameSink:
    """What draws frames: it waits until the answers of all regions of one are there."""

    def __init__(self, captions: Captions) -> None:
        self._captions = captions
        self._waiting: list[Record] = []
        self.written = 0
        """How many frames."""

    def write(self, record: Record) -> None:
        if record.image is None:
            return
        if record.kind != RESULT:
            self._draw([record])
            return
        if self._waiting and self._waiting[0].moment.frame != record.moment.frame:
            self._waiting.clear()
        self._waiting.append(record)
        if len(self._waiting) >= self._captions.answers:
            records, self._waiting = self._waiting, []
            self._draw(records)

    def _draw(self, records: list[Record]) -> None:
        drawn = self._captions.drawn(records)
        if drawn is not None and self._store(drawn, records):
            self.written += 1

    def _store(self, drawn: RGBImage, records: Sequence[Record]) -> bool:
        """Write an (H, W, 3) frame; tell whether it was kept."""
        raise NotImplementedError


class PictureSink(FrameSink):
    """Annotated frames in a folder."""

    unit = "picture"

    def __init__(self, folder: BoundedFolder, captions: Captions = Captions()) -> None:  # noqa: B008 (frozen)
        super().__init__(captions)
        self._folder = folder

    def _store(self, drawn: RGBImage, records: Sequence[Record]) -> bool:
        # of a detection the first is that of the whole picture
        named = records[:1] if isinstance(records[0].result, Detections) else records
        name = "+".join(_name(record) for record in named)
        return self._folder.store(name, "", jpeg(drawn), sort=False) is not None

    def flush(self) -> None:
        """Leave it to the system, which writes pictures within seconds."""

    def close(self) -> None:
        self._folder.close()


def _name(record: Record) -> str:
    """Return what a picture is named by."""
    if record.kind != RESULT or record.result is None:
        return record.kind
    if isinstance(record.result, Detections):
        return "+".join(f"{label}-{count}" for label, count in record.result.counts.items()) or NOTHING
    return record.present or record.result.top1


class VideoSink(FrameSink):
    """Annotated frames as a video; all get the size of the first."""

    unit = "frame"

    def __init__(self, path: Path, fps: float = 10.0, captions: Captions = Captions()) -> None:  # noqa: B008 (frozen)
        """Begin the file with the first frame, in a folder that is made if it is missing.

        A file of this name stays as it is, and the video becomes NAME-2, or the next number that is free.

        Raises:
            OutputError: its folder cannot be made or written, or it is no kind of video.
        """
        if path.suffix.lower() not in CODECS:
            raise OutputError(f"{path} is no video; name it {', '.join(f'NAME{suffix}' for suffix in CODECS)}")
        try:
            make_folders(path.parent)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}; choose another place after --to") from error
        if not os.access(path.parent, os.W_OK):
            raise OutputError(f"{path} cannot be written: {path.parent} is read-only; choose another place after --to")
        super().__init__(captions)
        self.path, self._fps = path, fps
        self._writer: Any = None
        self._size = (0, 0)

    def _store(self, drawn: RGBImage, records: Sequence[Record]) -> bool:
        # OpenCV says nothing when a disk is full
        if shutil.disk_usage(self.path.parent).free < LEFT_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._writer is None:
            # the codecs halve the colours: both sides even
            self._size = (max(2, drawn.shape[1] & ~1), max(2, drawn.shape[0] & ~1))
            self._begin()
        image = cv2.resize(drawn, self._size) if drawn.shape[1::-1] != self._size else drawn
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return True

    def _begin(self) -> None:
        path = _reserve(self.path)
        code = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(path), code, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            path.unlink(missing_ok=True)
            raise OSError(f"{path} cannot be written as a video")
        if path != self.path:
            log.warning("%s is there already; this video is %s", self.path, path)
            self.path = path

    def flush(self) -> None:
        """A video cannot be flushed before it ends."""

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None


def _reserve(path: Path) -> Path:
    """Make an empty file, which nobody else has, under this name or the first of NAME-2, NAME-3... that is free."""
    free, number = path, 1
    while True:
        try:
            free.open("xb").close()
        except FileExistsError:
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        else:
            return free


@dataclass(frozen=True)
class HarvestRules:
    """Which frames are hard."""

    margin: Share = 0.2
    """The two best classes are closer than this, 0..1."""
    pause_s: Annotated[float, Range(0)] = 1.0
    """Seconds from one picture of a source to its next, by a video's own time: neighbours teach nothing more."""

    def __post_init__(self) -> None:
        check_options(self)


def hardness(result: Result, previous: str | None, rules: HarvestRules) -> str | None:
    """Tell why a frame is hard; None if it is not.

    It is "unsure" if the two best classes are close, a "flip" if the frame before it was taken for another class.
    """
    if len(result.names) > 1 and result.top5_conf[0] - result.top5_conf[1] < rules.margin:
        return "unsure"
    return "flip" if previous not in (None, result.top1) else None


class HarvestSink:
    """Hard frames, as they were classified and not drawn on, in a folder for each class: ready for relabelling."""

    unit = "hard picture"

    def __init__(self, folder: BoundedFolder, rules: HarvestRules = HarvestRules()) -> None:  # noqa: B008 (frozen)
        self.folder, self._rules = folder, rules
        self.written = 0
        """How many frames."""
        self._last: Recent[tuple[str, str | None], str] = Recent()
        self._taken_s: Recent[tuple[str, str | None], float] = Recent()

    def write(self, record: Record) -> None:
        result, image = record.result, record.image
        if record.kind != RESULT or result is None or image is None:
            return
        # a fast machine reads many seconds of a video in one
        now_s = result.time_s(record.moment)
        key = (record.moment.source, record.moment.roi)
        reason = hardness(result, self._last.get(key), self._rules)
        self._last[key] = result.top1
        if reason is None or now_s - self._taken_s.get(key, float("-inf")) < self._rules.pause_s:
            return
        self._taken_s[key] = now_s
        if self.folder.store(result.top1, f"-{reason}-{result.top1_conf:.2f}", jpeg(image, 95), sort=True):
            self.written += 1

    def flush(self) -> None:
        """Nothing waits: each picture is on the disk when it is written."""

    def close(self) -> None:
        self.folder.close()
