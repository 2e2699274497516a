"""`edgevit run`: classify or segment files, videos, cameras and streams."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.completion import complete_files, complete_model_files
from edgevit.cli.monitoring import has_terminal, open_monitoring, reload_on_sighup, serve_options
from edgevit.cli.options import model_options, take_model_options
from edgevit.cli.run_options import stream_options, take_stream_options
from edgevit.cli.run_output import FINITE, open_output, output_options
from edgevit.cli.sections import Command
from edgevit.cli.signals import stop_on_signals
from edgevit.errors import EdgevitError
from edgevit.text import printable

if TYPE_CHECKING:
    from edgevit.runtime.classifier import Classifier
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.run.result_writer import ResultWriter
    from edgevit.runtime.stream.loop import Predictor

# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit run m.onnx cat.jpg
edgevit run m.onnx photos/ --json > answers.jsonl
edgevit run m.onnx clip.mp4 --every 1s
edgevit run m.onnx camera:0 --fps 2
edgevit run m.onnx picam --every 5s --roi gate=0.1,0.2,0.5,0.5
edgevit run m.onnx rtsp://user:password@192.168.1.20/stream --json
edgevit run m.onnx camera:0 --stable 3/5 --threshold 0.6 --to log.jsonl
edgevit run m.onnx camera:0 --stable 3/5 --to mqtt://broker/farm/yard
edgevit run m.onnx http://192.168.1.21/snapshot.jpg --once
edgevit run m.onnx camera:0 --serve 127.0.0.1:8080
edgevit run m-seg.onnx street.jpg --save-overlay out/ --save-mask out/
rpicam-vid -t 0 -n --codec mjpeg -o - | edgevit run m.onnx -
find . -name '*.jpg' -newer last | edgevit run m.onnx -
"""


@click.command("run", cls=Command, epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.argument("source", shell_complete=complete_files)
@output_options
@stream_options
@serve_options
@model_options
def command(
    model: Path,
    source: str,
    labels: Path | None,
    threads: int | None,
    **given: Any,
) -> int:
    """Classify the pictures of SOURCE with MODEL, or segment them if that is what it does.

    SOURCE is a file, a folder (searched recursively), a pattern in quotes such as "photos/*.jpg", a video, a numbered
    sequence such as img_%04d.jpg; camera:0 or /dev/video0, picam (a Raspberry Pi's CSI camera), rtsp://, http:// (MJPEG
    or a snapshot), tcp://; or - for stdin: a list of paths, MJPEG, or raw frames. See docs/sources.md.

    Of cameras and streams only the newest frame is classified, and one that is lost is waited for; its loss and return
    are told on stderr. A file that cannot be read is named on stderr, the others are still classified, and the exit
    code is 1. Ctrl-C and SIGTERM end after the frame in hand with exit code 0.

    Results and events go to stdout, or to each place that --to names. In text, classes that would read 0.00 are left
    out, unless the first.
    """
    # OpenCV would add lines of its own, in the words of its source code, to the one that names an unreadable image
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from edgevit.runtime.classifier import load
    from edgevit.runtime.run.model_reload import ReloadableModel
    from edgevit.runtime.sources.stop import Stop
    from edgevit.runtime.stream.loop import StreamCallbacks, stream
    from edgevit.runtime.stream.plan import plan_stream

    failed, told = False, take_model_options(given)

    def note(error: EdgevitError) -> None:
        nonlocal failed
        failed = True
        monitoring.damaged()
        click.echo(f"edgevit: {printable(str(error))}", err=True)

    def open_model() -> "Classifier":
        return load(
            model,
            threads,
            labels=labels,
            **told,
        )

    stop = Stop()
    plan = plan_stream(source, take_stream_options(given))
    with contextlib.ExitStack() as leaving:
        leaving.enter_context(stop_on_signals(stop))
        classifier = open_model()
        leaving.callback(classifier.close)
        monitoring = open_monitoring(given, plan, model)
        leaving.callback(monitoring.close)
        output = open_output(
            given,
            plan,
            classifier.names,
            classifier.task,
            monitoring=monitoring.sinks,
            page=monitoring.server is not None,
        )
        leaving.callback(output.sinks.close)
        monitoring.include(output.sinks)
        predictor: Predictor = classifier
        # a terminal says with the same signal that it is gone
        if plan.source.kind not in FINITE and not has_terminal():
            reloadable = ReloadableModel(classifier, open_model, monitoring.heartbeat.renewal)
            leaving.callback(reloadable.close)
            leaving.enter_context(reload_on_sighup(reloadable))
            predictor = reloadable
        picture = monitoring.pictures(output.outlet.picture if output.needs_pictures else None)
        results = stream(
            predictor, plan, StreamCallbacks(_teller(output.outlet), note, picture, monitoring.black), stop
        )
        leaving.enter_context(contextlib.closing(results))
        leaving.callback(monitoring.heartbeat.stopping)
        live = False
        for result in results:
            output.outlet.result(result)
            live = live or result.age_ms is not None
    # a camera sends a damaged picture now and then; a damaged file stays one
    return 1 if failed and not live else 0


def _teller(outlet: "ResultWriter") -> "Callable[[Event], None]":
    """Return what passes an event on, and says it on stderr too."""
    from edgevit.runtime.records import event_record
    from edgevit.runtime.sinks.lines import event_text

    def tell(event: "Event") -> None:
        click.echo(f"edgevit: {printable(f'{event.moment.source}: {event_text(event_record(event))}')}", err=True)
        outlet.event(event)

    return tell
