"""Frames as pictures: annotated ones, a video of them, and the hard ones for the next training."""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from edgevit.errors import OutputError
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.draw import annotate
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.lines import answer_text, event_text
from edgevit.schema import Range, check_options

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


def caption(record: Record, top_k: int = 1) -> str:
    """Return what is written on a frame."""
    if record.kind == RESULT and record.result is not None:
        return answer_text(record.result, top_k)
    return event_text(record)


class PictureSink:
    """Annotated frames in a folder."""

    def __init__(self, folder: BoundedFolder, top_k: int = 1) -> None:
        """Write top_k classes on each."""
        self._folder, self._top_k = folder, top_k

    def write(self, record: Record) -> None:
        if record.image is not None:
            name = record.result.top1 if record.kind == RESULT and record.result else record.kind
            picture = jpeg(annotate(record.image, caption(record, self._top_k)))
            self._folder.store(name, "", picture, sort=False)

    def flush(self) -> None:
        """Leave it to the system, which writes pictures within seconds."""

    def close(self) -> None:
        """Nothing is open."""


class VideoSink:
    """Annotated frames as a video; all get the size of the first."""

    def __init__(self, path: Path, fps: float = 10.0, top_k: int = 1) -> None:
        """Begin the file with the first frame.

        Raises:
            OutputError: its folder does not exist, or it is no kind of video.
        """
        if path.suffix.lower() not in CODECS:
            raise OutputError(f"{path} is no video; name it {', '.join(f'NAME{suffix}' for suffix in CODECS)}")
        if not path.parent.is_dir():
            raise OutputError(f"{path} cannot be written: {path.parent} is no folder; make it first")
        if not os.access(path.parent, os.W_OK):
            raise OutputError(f"{path} cannot be written: {path.parent} is read-only; choose another place after --to")
        self.path, self._fps, self._top_k = path, fps, top_k
        self._writer: Any = None
        self._size = (0, 0)

    def write(self, record: Record) -> None:
        if record.image is None:
            return
        # OpenCV says nothing when a disk is full
        if shutil.disk_usage(self.path.parent).free < LEFT_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._writer is None:
            # the codecs halve the colours: both sides even
            self._size = (max(2, record.image.shape[1] & ~1), max(2, record.image.shape[0] & ~1))
            code = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self.path), code, self._fps, self._size)
            if not self._writer.isOpened():
                self._writer = None
                raise OSError(f"{self.path} cannot be written as a video")
        image = cv2.resize(record.image, self._size) if record.image.shape[1::-1] != self._size else record.image
        drawn = annotate(np.asarray(image, np.uint8), caption(record, self._top_k))
        self._writer.write(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))

    def flush(self) -> None:
        """A video cannot be flushed before it ends."""

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None


@dataclass(frozen=True)
class HarvestRules:
    """Which frames are hard."""

    margin: Annotated[float, Range(0, 1)] = 0.2
    """The two best classes are closer than this, 0..1."""
    pause_s: Annotated[float, Range(0)] = 1.0
    """Seconds from one picture of a source to its next: neighbours look alike and teach nothing more."""

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

    def __init__(self, folder: BoundedFolder, rules: HarvestRules = HarvestRules()) -> None:  # noqa: B008 (frozen)
        self._folder, self._rules = folder, rules
        self._last: Recent[tuple[str, str | None], str] = Recent()
        self._taken_s: Recent[tuple[str, str | None], float] = Recent()

    def write(self, record: Record) -> None:
        result, image, now_s = record.result, record.image, record.moment.monotonic_s
        if record.kind != RESULT or result is None or image is None:
            return
        key = (record.moment.source, record.moment.roi)
        reason = hardness(result, self._last.get(key), self._rules)
        self._last[key] = result.top1
        if reason is None or now_s - self._taken_s.get(key, float("-inf")) < self._rules.pause_s:
            return
        self._taken_s[key] = now_s
        self._folder.store(result.top1, f"-{reason}-{result.top1_conf:.2f}", jpeg(image, 95), sort=True)

    def flush(self) -> None:
        """Nothing waits: each picture is on the disk when it is written."""

    def close(self) -> None:
        """Nothing is open."""
