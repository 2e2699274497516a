"""`edgevit run` as a library call."""

import contextlib
import logging
import queue
from collections.abc import Callable
from pathlib import Path

from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.board.news import StatusFile
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import FrameKey, Moment
from edgevit.runtime.records import error_record
from edgevit.runtime.run.archive import run_archive
from edgevit.runtime.run.hang_guard import OPEN_S, GuardedPredictor, HangGuard, flush_in_time
from edgevit.runtime.run.heartbeat import Heartbeat
from edgevit.runtime.run.model import open_model
from edgevit.runtime.run.model_reload import ReloadableModel
from edgevit.runtime.run.monitoring import open_monitoring
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.output import open_output
from edgevit.runtime.run.sd_notify import Notifier
from edgevit.runtime.run.summary import RunProgress, RunSummary
from edgevit.runtime.sources.stop import Stop, check_stop
from edgevit.runtime.stream.loop import Predictor, StreamCallbacks
from edgevit.runtime.stream.watched import watched_stream
from edgevit.schema import check_functions

log = logging.getLogger(__name__)


def run(
    options: RunOptions,
    *,
    on_event: Callable[[Event], None] | None = None,
    on_error: Callable[[EdgevitError], None] | None = None,
    on_page: Callable[[str], None] | None = None,
    on_hang: Callable[[str], None] | None = None,
    on_progress: Callable[[RunProgress], None] | None = None,
    stop: Stop | None = None,
    reload: "queue.SimpleQueue[None] | None" = None,
) -> RunSummary:
    """Classify or segment the pictures of the sources, and send answers and events where the options say.

    It returns when files have ended or `stop` is asked; cameras and streams go on.

    Args:
        options: what to do.
        on_event: is told each event but those that the page alone asks for; by default those of the sources are logged.
        on_error: is told which pictures could not be read and were skipped, of a camera the first in a row; by default
            that is logged.
        on_page: is told the address of the page of `serve`; by default that is logged.
        on_hang: is told, in another thread and after the places were flushed, that the run hangs and cannot go on: the
            model never answers, or the source does not let go after `stop`. It may end the process; by default what
            hangs is logged.
        on_progress: is told, once a second and at the end, how far a run with `jobs` has come. What tells of live
            sources is not called there, and a worker that hangs is ended like one that died.
        stop: ends the run after the frame in hand when it is asked, as by a signal handler.
        reload: whatever is put into it, as by a signal handler, has a live run open the model's file anew; the newer
            one is taken if its self-test passes.

    Raises:
        EdgevitError: the model cannot be opened, a place cannot be written, a source is lost and not waited for, or
            the model fails.
        WorkerError: processes for `jobs` cannot begin, or die of all pictures.
    """
    stop = check_stop(stop)
    check_functions(on_event=on_event, on_error=on_error, on_page=on_page, on_hang=on_hang, on_progress=on_progress)
    if not isinstance(options, RunOptions):
        raise OptionError(f"--options is {options!r}, expected an edgevit.RunOptions")
    if options.jobs is not None:
        return run_archive(options, on_error or _log_error, on_progress, stop)
    results = unreadable = frames = events = 0
    live = False
    last: FrameKey | None = None

    def renewed(text: str | None) -> None:
        heartbeat.renewal(text)
        monitoring.renewal(text)

    def unread(error: ImageError, moment: Moment | None) -> None:
        nonlocal unreadable
        unreadable += 1
        monitoring.damaged()
        if moment is not None and options.errors == "row":
            output.places.write(error_record(error, moment))

    def tell(event: Event) -> None:
        nonlocal events
        events += 1
        (on_event or _log_event)(event)
        output.writer.event(event)

    def hangs(text: str) -> None:
        log.error("%s", text)
        heartbeat.hangs(text)
        if flushed:
            flush_in_time(flushed[0])
        if on_hang is not None:
            on_hang(text)

    heartbeat, stop = Heartbeat(Notifier.from_environment()), stop or Stop()
    flushed: list[Callable[[], None]] = []
    with contextlib.ExitStack() as leaving:
        guard = HangGuard(stop, hangs, heartbeat.watchdog_s)
        leaving.callback(guard.close)
        with guard.working("the model has not been opened", stop_s=OPEN_S):
            classifier = open_model(options)
        leaving.callback(classifier.close)
        options.check_model(classifier.task, classifier.names)
        monitoring = open_monitoring(options, heartbeat, classifier.sha256)
        leaving.callback(monitoring.close)
        if monitoring.server is not None:
            (on_page or _log_page)(monitoring.server.url)
        output = open_output(
            options,
            classifier.task,
            classifier.names,
            monitoring=monitoring.sinks,
            page=monitoring.server is not None,
            board=monitoring.board,
        )
        leaving.callback(output.sinks.close)
        flushed.append(output.sinks.flush)
        # what a detector finds are no classes that a whole picture could be put into
        monitoring.include(output.sinks, () if classifier.task == "detect" else classifier.names)
        if options.status is not None and monitoring.board is not None:
            leaving.callback(StatusFile(Path(options.status), monitoring.board).close)
        predictor: Predictor = classifier
        if reload is not None and not options.plan.finite:
            predictor = reloadable = ReloadableModel(
                classifier, lambda: open_model(options), renewed, reload, taken=monitoring.loaded
            )
            leaving.callback(reloadable.close)
        told = on_error or _log_error
        callbacks = StreamCallbacks(tell, told, monitoring.pictures(output.picture), monitoring.black, unread)
        leaving.callback(guard.left)
        answers = watched_stream(
            GuardedPredictor(predictor, guard), options.plan, callbacks, output.watch, stop, found=output.found
        )
        leaving.enter_context(contextlib.closing(answers))
        leaving.callback(guard.ending)
        leaving.callback(heartbeat.stopping)
        for result in answers:
            output.writer.result(result)
            results += 1
            live = live or result.age_ms is not None
            frame = None if result.moment is None else result.moment.frame
            frames, last = frames + (frame != last), frame
    return RunSummary(results, unreadable, live, frames, events, output.sinks.written())


def _log_event(event: Event) -> None:
    if event.of_source:
        log.warning("%s", event.to_json())


def _log_error(error: EdgevitError) -> None:
    log.warning("%s", error)


def _log_page(url: str) -> None:
    log.warning("the page is at %s", url)
