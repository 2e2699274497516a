"""From a source's frames to results: turn, cut, classify, and skip what must not be judged."""

import contextlib
import dataclasses
import functools
import logging
import random
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import EdgevitError, ImageError, SourceLostError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.detection.tiles import detect_in_tiles
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.decode import reduction
from edgevit.runtime.images.preprocess import Speed, min_decode_size
from edgevit.runtime.images.regions import TURNS, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.sample import sample_for
from edgevit.runtime.sources.several import LiveSet, open_all
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.detections import by_region
from edgevit.runtime.stream.plan import StreamPlan
from edgevit.runtime.stream.unusable import SourceState, is_black, of_source
from edgevit.runtime.tracking.follow import Follower, frame_time_s

log = logging.getLogger(__name__)


class Predictor(Protocol):
    """What the loop needs of a Classifier."""

    @property
    def task(self) -> str: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def whole_pictures(self) -> bool: ...
    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]: ...


@dataclass(frozen=True)
class StreamCallbacks:
    """Who is told what is no result; what nobody hears is logged."""

    event: Callable[[Event], None] | None = None
    error: Callable[[EdgevitError], None] | None = None
    picture: Callable[[RGBImage, Moment], None] | None = None
    black: Callable[[Moment], None] | None = None
    unread: Callable[[ImageError, Moment | None], None] | None = None
    """Is told each picture that could not be read, with its moment if it has one, after `error`, which hears of a
    camera's only the first in a row."""
    health: bool = False
    """Whether `event` is told of dark pictures by rules about their health."""

    def tell(self, what: Event | EdgevitError) -> None:
        if isinstance(what, Event):
            (self.event or _log_event)(what)
        else:
            (self.error or _log_error)(what)


def _log_event(event: Event) -> None:
    log.warning("%s", event.to_json())


def _log_error(error: EdgevitError) -> None:
    log.warning("%s", error)


def stream(
    predictor: Predictor,
    plan: StreamPlan,
    callbacks: StreamCallbacks,
    stop: Stop | None = None,
    closers: set[Callable[[], None]] | None = None,
    clock: Clock | None = None,
    draw: random.Random | None = None,
) -> Generator[Result, None, None]:
    """Yield the results of a stream, one for each frame, or one for each of its regions.

    Args:
        predictor: classifies.
        plan: what to read, and how.
        callbacks: are told what is no result.
        stop: ends the stream after the frame in hand.
        closers: holds, as long as the stream is open, what ends it from outside.
        clock: tells the time.
        draw: spreads the attempts to connect.
    """
    clock, stop, own_stop = clock or Clock(), stop or Stop(), Stop()
    with contextlib.ExitStack() as leaving:
        stop.listen(own_stop.ask)
        leaving.callback(stop.unlisten, own_stop.ask)
        if stop.asked:
            own_stop.ask()
        sources = [sample_for(predictor.task, source) for source in plan.sources]
        items = open_all(sources, plan.source_options, own_stop, clock, draw or random.Random())
        leaving.callback(items.close)

        def end() -> None:
            own_stop.ask()
            if isinstance(items, Live | LiveSet):
                items.close()

        closers = set() if closers is None else closers
        closers.add(end)
        leaving.callback(closers.discard, end)
        yield from predictions(predictor, items, plan, callbacks, own_stop, clock)


def predictions(
    predictor: Predictor, items: Iterable[Item], plan: StreamPlan, callbacks: StreamCallbacks, stop: Stop, clock: Clock
) -> Generator[Result, None, None]:
    """Yield the results of items that are open already; the caller closes them."""
    left = plan.max_frames
    follower = None if plan.follow is None else Follower(plan.follow)
    sources: Recent[str, SourceState] = Recent()

    def tell(what: Event | EdgevitError) -> None:
        if follower is not None and isinstance(what, Event) and what.kind == "source_lost":
            follower.gap(what.moment.source)
        callbacks.tell(what)

    for item in items:
        if not isinstance(item, Frame):
            if isinstance(item, Event) and item.kind == "source_lost" and item.moment.source in sources:
                sources[item.moment.source].outage.gap()
            tell(item)
            if isinstance(item, ImageError) and callbacks.unread is not None:
                callbacks.unread(item, None)
            continue
        name = item.moment.source
        sources[name] = source = sources.get(name) or SourceState(item.moment.monotonic_s, plan.source_options.stall_s)
        damaged = False
        try:
            results, events = answer(predictor, item, plan, callbacks, clock, follower)
        except ImageError as error:
            # a camera that sends rubbish does so many times a second
            if not (item.live and source.damaged):
                callbacks.tell(error)
            if callbacks.unread is not None:
                callbacks.unread(error, item.moment)
            damaged = source.damaged = True
            results, events = [], ()
        else:
            # one of the two tells of the dark
            if not callbacks.health and (event := source.blackout.after(not results, item.moment)):
                callbacks.tell(event)
        if item.live and (event := source.outage.after(damaged, item.moment)):
            tell(event)
        if results:
            source.usable_s, source.damaged = clock.monotonic_s(), False
            for result in results:
                yield result
                for event in events:
                    if event.moment == result.moment:
                        callbacks.tell(event)
            left = None if left is None else left - 1
        elif (
            item.live
            and not plan.source_options.wait
            and len(plan.sources) == 1
            and clock.monotonic_s() - source.usable_s > plan.source_options.stall_s
        ):
            raise SourceLostError(f"{name} gave only black or damaged pictures")
        if stop.asked or left == 0:
            break


def answer(
    predictor: Predictor,
    frame: Frame,
    plan: StreamPlan,
    callbacks: StreamCallbacks,
    clock: Clock,
    follower: Follower | None = None,
) -> tuple[list[Result], tuple[Event, ...]]:
    """Classify a frame, or each of its regions; nothing if it is live and black.

    A detector looks at the whole picture once: its answer comes first, then that for each region, with the boxes in it.
    With a follower boxes have ids, and what it tells is returned too.

    Raises:
        ImageError: it cannot be decoded, or is smaller than a region; the error names the source.
        OptionError: it has no time, and is to be followed.
    """
    try:
        return _answer(predictor, frame, plan, callbacks, clock, follower)
    except ImageError as error:
        named = of_source(error, frame.moment.source)
        if named is error:
            raise
        raise named from error


def _answer(
    predictor: Predictor,
    frame: Frame,
    plan: StreamPlan,
    callbacks: StreamCallbacks,
    clock: Clock,
    follower: Follower | None,
) -> tuple[list[Result], tuple[Event, ...]]:
    age_ms = 1e3 * (clock.monotonic_s() - frame.moment.monotonic_s) if frame.live else None
    grid = plan.grid if predictor.task == "detect" else None
    regions, turned = () if predictor.task == "detect" else plan.regions, plan.rotate != 0
    speed: Speed = "usual" if frame.still else "fast"
    begun = time.perf_counter()
    if isinstance(frame.picture, Path) and not (regions or grid or turned or callbacks.picture):
        results = predictor([frame.picture], speed=speed)
        read_ms = 0.0
    else:
        # a region may be small, and who looks at the picture may keep it: both need all the pixels there are
        whole = bool(regions or callbacks.picture or predictor.whole_pictures)
        least = min_decode_size(predictor.preprocess)
        image = seen = _upright(frame, plan, predictor, None if whole else least)
        if callbacks.picture is not None:
            callbacks.picture(image, frame.moment)
        # who looks on changes no answer: of a large JPEG the model sees what it would see alone
        reduced = not (regions or grid) and whole and _is_file(frame) and reduction(image.shape[:2], least) > 1
        if reduced and not predictor.whole_pictures:
            seen = _upright(frame, plan, predictor, least)
        if frame.live and is_black(seen):
            if callbacks.black is not None:
                callbacks.black(frame.moment)
            return [], ()
        parts: list[Any] = [cut(image, region) for region in regions] or [seen]
        if reduced and predictor.whole_pictures and frame.still and not turned:
            parts = [frame.picture]
        read_ms = 1e3 * (time.perf_counter() - begun) / len(parts)
        if grid is None:
            results = predictor(parts, speed=speed)
        else:
            results = [detect_in_tiles(functools.partial(predictor, speed=speed), image, *grid)]
    named: Sequence[tuple[Result, str | None]]
    events: tuple[Event, ...] = ()
    if isinstance(found := results[0], Detections):
        if follower is not None:
            found, events = follower.follow(found, frame.moment, frame_time_s(frame), frame.position_s)
        named = by_region(found, plan.rois)
    else:
        places = [region.name for region in regions] if regions else [None]
        named = list(zip(results, places, strict=True))
    stamped = [
        dataclasses.replace(
            result,
            source=frame.moment.source,
            preprocess_ms=read_ms + result.preprocess_ms,
            moment=dataclasses.replace(frame.moment, roi=roi),
            age_ms=age_ms,
            dropped=frame.dropped,
            position_s=frame.position_s,
        )
        for result, roi in named
    ]
    return stamped, events


def _upright(frame: Frame, plan: StreamPlan, predictor: Predictor, min_size: tuple[int, int] | None) -> RGBImage:
    """Return a frame's (H, W, 3) picture, turned as the plan says; min_size is read_image's."""
    return TURNS[plan.rotate](frame.image(min_size, predictor.preprocess.levels))


def _is_file(frame: Frame) -> bool:
    """Tell whether its picture is an image file, or the bytes of one: a JPEG can be decoded at reduced scale."""
    return isinstance(frame.picture, Path | bytes)
