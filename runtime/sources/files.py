"""Finite sources: paths, image sequences and videos, read whole and in order."""

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import cv2
import numpy as np

from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.datasets.listing import list_images
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import NUMBER, Source, is_video
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sample import PICTURE, SCENE, is_sample
from edgevit.runtime.sources.sampling import SamplingInterval
from edgevit.runtime.sources.stdin import stdin_paths
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.sources.video_times import VideoTimes
from edgevit.schema import is_whole

Item = Frame | EdgevitError
"""A frame, or why a file gave none."""


def file_frames(source: Source, source_options: SourceOptions, clock: Clock, stop: Stop) -> Generator[Item, None, None]:
    """Yield the frames of a source whose kind is path, video, sequence or (for a list of paths) stdin.

    Raises:
        ImageError: nothing is there.
        OptionError: images have no time, but the pace asks for it.
    """
    index = 0
    for path in stdin_paths(stop) if source.kind == "stdin" else list_paths(source):
        if not is_video(path):
            _check_pace(path, source_options.pace)
            yield picture_frame(path, picture_name(source, path), index, clock)
            index += 1
            continue
        for item in _video_frames(path, index, source_options.pace, clock, stop):
            yield item
            index = item.moment.sequence + 1 if isinstance(item, Frame) else index


def picture_frame(path: Path, name: str, index: int, clock: Clock) -> Frame:
    """Return the frame of a picture, the index-th of its source, read now."""
    return Frame(path, _moment(name, index, clock))


def picture_name(source: Source, path: Path) -> str:
    """Return what a picture of a source is called: its path, but nobody wants to read where the package lies."""
    return source.name if path in (PICTURE, SCENE) else str(path)


def list_paths(source: Source) -> Iterator[Path]:
    """Yield the files of a source, images and videos, in order.

    Raises:
        ImageError: nothing is there.
    """
    if source.kind == "sequence" and not Path(source.address).exists():
        return iter(_sequence(source.address))
    if is_sample(source):
        return iter([PICTURE])
    if is_whole(source.address) and not Path(source.address).exists():
        raise ImageError(
            f"{source.address} does not exist; if it is the number of a camera, write camera:{source.address}"
        )
    return list_images(source.address)


def _sequence(pattern: str) -> list[Path]:
    """Return the files that a pattern such as img_%04d.jpg stands for, in the order of their numbers."""
    folder, name = os.path.split(pattern)
    place = NUMBER.search(name)
    assert place is not None
    # %04d writes four digits, and more only where the number has more
    width = int(place[1] or 1)
    digits = f"(\\d{{{width}}}|[1-9]\\d{{{width},}})"
    wanted = re.compile(re.escape(name[: place.start()]) + digits + re.escape(name[place.end() :]), re.ASCII)
    try:
        entries = os.listdir(folder or ".")
    except OSError as error:
        raise ImageError(f"folder {folder} of {pattern} cannot be read: {error.strerror}") from error
    found = sorted((int(match[1]), entry) for entry in entries if (match := wanted.fullmatch(entry)))
    if not found:
        raise ImageError(f"no file matches {pattern}; %04d stands for a number of four digits, such as 0001")
    return [Path(folder, entry) for _, entry in found]


def _video_frames(
    path: Path, first: int, pace: SamplingInterval, clock: Clock, stop: Stop
) -> Generator[Item, None, None]:
    """Yield the frames of a video that the pace wants; the others are not even decoded into pictures."""
    video = cv2.VideoCapture(str(path)) if path.is_file() else None
    try:
        if video is None or not video.isOpened():
            what = "is not a video that OpenCV can read" if video else "does not exist"
            yield ImageError(f"{path} {what}")
            return
        times, due_s, decoded = VideoTimes(video), 0.0, False
        while not stop.asked and video.grab():
            position_s = times.next()
            if pace.interval_s is not None:
                if position_s is None:
                    raise OptionError(
                        f"{path} does not say how many frames a second it has; leave out --every and --fps"
                    )
                # half a frame early rather than a whole one late
                if position_s + times.frame_s / 2 < due_s:
                    continue
                due_s = pace.next_due(due_s, position_s)
            decoded, image = video.retrieve()
            if decoded:
                rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
                yield Frame(rgb, _moment(str(path), first + times.count - 1, clock), position_s=position_s)
        if not stop.asked and (trouble := times.trouble()) is not None:
            yield ImageError(f"{path} {trouble}")
    finally:
        if video is not None:
            video.release()


def _moment(name: str, index: int, clock: Clock) -> Moment:
    return Moment(name, index, clock.monotonic_s(), clock.wall_s())


def _check_pace(path: Path, pace: SamplingInterval) -> None:
    if pace.interval_s is not None:
        raise OptionError(
            f"{path} is one image and has no time; leave out --every and --fps, or give a video or camera"
        )
