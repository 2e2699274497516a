"""`edgevit collect` as a library call."""

import contextlib
import logging
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgevit import __version__
from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.collect.clicks import QUALITY, ClassButtons
from edgevit.runtime.collect.folder import PhotoFolder
from edgevit.runtime.collect.options import CollectOptions
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import TURNS
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.records import event_record
from edgevit.runtime.serve.address import check_access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.pictures import jpeg
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.several import open_all
from edgevit.runtime.sources.stop import Stop, check_stop
from edgevit.runtime.stream.unusable import is_black, of_source
from edgevit.schema import check_functions

log = logging.getLogger(__name__)

JPEG = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""


@dataclass(frozen=True)
class CollectSummary:
    """What a collection that has ended did."""

    frames: int
    """Pictures that were looked at."""
    saved: int
    alike: int
    """Pictures that were left out, as their class has one that looks like them."""
    unreadable: int
    """Pictures that could not be read."""
    counts: Mapping[str, int]
    """Photos of each class that are there now."""
    live: bool = False
    """Whether they came from a camera or stream, which sends a damaged one now and then."""

    def __str__(self) -> str:
        """Return one line for people."""
        there = ", ".join(f"{label} {count:,}" for label, count in sorted(self.counts.items()))
        left = f", {self.alike:,} left out as alike" if self.alike else ""
        return f"{self.frames:,} frames, {self.saved:,} saved{left}; there are now: {there or 'none'}"


def collect(
    options: CollectOptions,
    *,
    on_event: Callable[[Event], None] | None = None,
    on_error: Callable[[EdgevitError], None] | None = None,
    on_page: Callable[[str], None] | None = None,
    stop: Stop | None = None,
) -> CollectSummary:
    """Save frames of a source as photos of its class, or with a page those that somebody clicks.

    It returns when a file has ended, so many photos are there as were asked for, or `stop` is asked. Without a page
    it also ends at the quota.

    Args:
        options: what to do.
        on_event: is told what happens to the source; by default that is logged.
        on_error: is told which pictures could not be read, of a camera the first in a row; by default that is logged.
        on_page: is told the address of the page; by default that is logged.
        stop: ends the collection after the frame in hand when it is asked, as by a signal handler.

    Raises:
        EdgevitError: the source cannot be read, the folder cannot be written, or the quota is reached.
    """
    stop = check_stop(stop) or Stop()
    check_functions(on_event=on_event, on_error=on_error, on_page=on_page)
    if not isinstance(options, CollectOptions):
        raise OptionError(f"--options is {options!r}, expected an edgevit.CollectOptions")
    folder = PhotoFolder(Path(options.to), options.quota_bytes)
    frames = saved = alike = unreadable = 0
    live = damaged = False
    with contextlib.ExitStack() as leaving:
        leaving.callback(folder.close)
        folder.check_labels(options.labels)
        page = CollectPage(options, folder) if options.serve else None
        if page is not None:
            leaving.callback(page.server.close)
            (on_page or _log_page)(page.server.url)
        items = open_all(options.plan.sources, options.plan.source_options, stop, Clock(), random.Random())
        leaving.callback(items.close)
        for item in items:
            if isinstance(item, Frame):
                live = live or item.live
                try:
                    image = TURNS[options.rotate](item.image())
                except ImageError as error:
                    unreadable += 1
                    # a camera that sends rubbish does so many times a second
                    if not (item.live and damaged):
                        (on_error or _log_error)(of_source(error, item.moment.source))
                    damaged = True
                    continue
                frames, damaged = frames + 1, False
                if page is not None:
                    page.show(image, item)
                    saved = page.buttons.kept
                elif item.live and is_black(image):
                    pass
                elif folder.resembles(options.labels[0], image, options.alike):
                    alike += 1
                else:
                    folder.save(options.labels[0], image, photo_of(item, image, options.rotate))
                    saved += 1
            elif isinstance(item, Event):
                (on_event or _log_event)(item)
                if page is not None:
                    page.event(item)
            else:
                unreadable += 1
                (on_error or _log_error)(item)
            if stop.asked or saved == options.count:
                break
        saved = saved if page is None else page.buttons.kept
    return CollectSummary(frames, saved, alike, unreadable, folder.counts(), live)


class CollectPage:
    """The page of a collection: the newest picture, and a button for each class."""

    def __init__(self, options: CollectOptions, folder: PhotoFolder) -> None:
        """Begin to listen.

        Raises:
            OptionError: the address is wrong, or others could see the page who should not.
            OutputError: it cannot be listened at.
        """
        access = check_access(options.serve or "", options.serve_anyone, os.environ)
        self._view, self._status = View(), RunStatus(options.plan.result_limit_s, good="pictures come")
        self.buttons = ClassButtons(self._view, folder, options.labels)
        about = {"version": __version__, "model": f"photos in {options.to}", "source": options.plan.name}
        self.server = Server(access, PageState(self._view, self._status, about, clicks=self.buttons))

    def show(self, image: RGBImage, frame: Frame) -> None:
        """Show an (H, W, 3) picture."""
        self._view.show(image, frame.moment)
        self._status.seen(frame.moment)

    def event(self, event: Event) -> None:
        self._status.write(event_record(event))


def photo_of(frame: Frame, image: RGBImage, rotate: int) -> bytes:
    """Return a frame as a JPEG file: its own bytes where it is one and is not turned, else its (H, W, 3) picture's."""
    picture = frame.picture
    if isinstance(picture, Path):
        picture = picture.read_bytes()
    if isinstance(picture, bytes) and picture.startswith(JPEG) and not rotate:
        return picture
    return jpeg(image, QUALITY)


def _log_event(event: Event) -> None:
    log.warning("%s", event.to_json())


def _log_error(error: EdgevitError) -> None:
    log.warning("%s", error)


def _log_page(url: str) -> None:
    log.warning("the page is at %s", url)
