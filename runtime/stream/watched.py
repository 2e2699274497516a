"""A stream whose answers and pictures are watched by rules: what they find is told as events."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Generator

from edgevit.runtime.events.event import Event
from edgevit.runtime.events.quality_alarms import HealthRules
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.runtime.sources.grammar import Source, is_video
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import Predictor, StreamCallbacks, stream
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import StreamPlan

log = logging.getLogger(__name__)


def open_watch(options: StreamOptions, plan: StreamPlan) -> Watch:
    """Return what finds events: of labels and counts, and of the pictures' health where they are live.

    Smoothing that is asked for where nothing comes after another is logged.
    """
    (required, frames), pictures = options.label_rules.stable, [each.name for each in plan.sources if _photos(each)]
    if required > 1 and pictures:
        log.warning(
            "--stable %d/%d has nothing to smooth in %s: each picture is a source of its own, and no event; leave it "
            "out, or give a video, a camera or a stream",
            *(required, frames, ", ".join(pictures)),
        )
    return Watch(options.label_rules, None if plan.finite else HealthRules(), options.count_rules)


def _photos(source: Source) -> bool:
    """Tell whether a source is of single pictures, as far as its name says."""
    return source.kind in ("path", "sequence") and not is_video(source.address)


def watched_stream(
    predictor: Predictor,
    plan: StreamPlan,
    callbacks: StreamCallbacks,
    watch: Watch | None,
    stop: Stop | None = None,
    closers: set[Callable[[], None]] | None = None,
    found: Callable[[Event], None] | None = None,
) -> Generator[Result, None, None]:
    """Yield the results of `stream`; tell what `watch` finds, if there is one, in each after it was taken.

    What it finds in a picture is told after callbacks.picture was shown it, and before the answer to it. It is told to
    `found`, and to who is told of the source unless that is given.
    """
    if watch is None:
        yield from stream(predictor, plan, callbacks, stop, closers)
        return

    tell = found or callbacks.tell

    def event(what: Event) -> None:
        if what.kind == "source_lost":
            watch.gap(what.moment.source)
        callbacks.tell(what)

    def picture(image: RGBImage, moment: Moment) -> None:
        if callbacks.picture is not None:
            callbacks.picture(image, moment)
        for what in watch.look(image, moment):
            tell(what)

    shown = picture if watch.looks else callbacks.picture
    heard = dataclasses.replace(callbacks, event=event, picture=shown, health=watch.looks and found is None)
    with contextlib.closing(stream(predictor, plan, heard, stop, closers)) as results:
        for result in results:
            yield result
            for what in watch.see(result):
                tell(what)
