"""`edgevit run`: answer files, videos, cameras and streams with a model."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.completion import complete_files, complete_model_files
from edgevit.cli.options import model_options
from edgevit.cli.run_options import read_run_options, run_options
from edgevit.cli.sections import Command
from edgevit.cli.signals import reload_on_sighup, stop_on_signals
from edgevit.cli.terminal import echo_over, say
from edgevit.errors import EdgevitError

if TYPE_CHECKING:
    from edgevit.runtime.events.event import Event
    from edgevit.runtime.run.summary import RunProgress

# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit run m.onnx sample
edgevit run m.onnx cat.jpg
edgevit run m.onnx cat.jpg dog.jpg clip.mp4
edgevit run m.onnx photos/ --json > answers.jsonl
edgevit run m.onnx photos/ --jobs 2 --errors row --to answers.jsonl --resume
edgevit run m.onnx clip.mp4 --every 1s
edgevit run m.onnx camera:0 --fps 2
edgevit run m.onnx picam --every 5s --roi gate=0.1,0.2,0.5,0.5
edgevit run m.onnx rtsp://user:password@192.168.1.20/stream --json
edgevit run m.onnx camera:0 --stable 3/5 --threshold 0.6 --to log.jsonl
edgevit run m.onnx camera:0 --stable 3/5 --to mqtt://broker/farm/yard
edgevit run m.onnx http://192.168.1.21/snapshot.jpg --once
edgevit run m.onnx camera:0 --serve 127.0.0.1:8080
edgevit run m.onnx camera:0 camera:1 --every 5s
edgevit run m.onnx camera:0 --to 'hard:hard/?quota=500MB'
edgevit run m-seg.onnx street.jpg --to overlays:out/ --to masks:out/
rpicam-vid -t 0 -n --codec mjpeg -o - | edgevit run m.onnx -
find . -name '*.jpg' -newer last | edgevit run m.onnx -
"""


@click.command("run", cls=Command, epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", shell_complete=complete_files)
@run_options
@model_options
def command(**given: Any) -> int:
    """Answer the pictures of each SOURCE with MODEL: what they show, what is where, or the class of each pixel.

    SOURCE is a file, a folder (searched recursively), a pattern such as "photos/*.jpg", a video, a numbered sequence
    such as img_%04d.jpg; camera:0 or /dev/video0, picam (a Raspberry Pi's CSI camera), rtsp://, http:// (MJPEG or a
    snapshot), tcp://; or - for stdin: a list of paths, MJPEG, or raw frames; "sample" is the package's own picture. See
    docs/sources.md. Several files and folders are read in their order; several cameras and streams at the same time,
    with one model in memory.

    Of cameras and streams only the newest frame is classified, and one that is lost is waited for; its loss and return
    are told on stderr, and at the end one line with what was done. A file that cannot be read is named on stderr, the
    others are still classified, and the exit code is 1. Ctrl-C and SIGTERM end after the frame in hand with code 0.

    With --jobs the pictures of an archive are answered by several processes; --resume goes on with what was killed.

    Results and events go to stdout, or to each place that --to names. In text, classes that would read 0.00 are left
    out, unless the first.
    """
    # OpenCV would add lines of its own, in the words of its source code, to the one that names an unreadable image
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from edgevit.runtime.run.run import run
    from edgevit.runtime.sources.stop import Stop

    options, stop, progress = read_run_options(given), Stop(), ProgressLine()
    # where a source is not waited for, the error that ends the run says what was wrong with it
    on_event = tell_event if options.source_options.wait else keep_silent

    def on_error(error: EdgevitError) -> None:
        progress.clear()
        tell_error(error)

    with stop_on_signals(stop), contextlib.ExitStack() as leaving:
        reload = None if options.plan.finite else leaving.enter_context(reload_on_sighup())
        done = run(
            options,
            on_event=on_event,
            on_error=on_error,
            on_page=tell_page,
            on_hang=_end_at_once,
            on_progress=progress.show,
            stop=stop,
            reload=reload,
        )
    progress.end()
    if done.frames > 1 or done.live or any(each.place != "stdout" for each in done.written):
        say(str(done))
    # a camera sends a damaged picture now and then, and a full disk has room again; what is read once stays so
    return 0 if done.complete else 1


PROGRESS_S = 60.0
"""How often progress is a line of its own where there is no terminal, in seconds."""


class ProgressLine:
    """How far an archive has come: one line that changes on a terminal, else a line a minute, and the last."""

    def __init__(self) -> None:
        self._width = 0
        self._due_s = PROGRESS_S
        self._last = ""

    def show(self, progress: "RunProgress") -> None:
        self._last = str(progress)
        if sys.stderr.isatty():
            text = f"edgevit: {progress}"
            echo_over(text, self._width, stays=False)
            self._width = len(text)
        elif progress.elapsed_s >= self._due_s:
            self._due_s = progress.elapsed_s + PROGRESS_S
            say(self._last)

    def clear(self) -> None:
        """Make room for another line."""
        if self._width:
            echo_over("", self._width, stays=False)
            echo_over("", 0, stays=False)
            self._width = 0

    def end(self) -> None:
        """Say how far it came."""
        self.clear()
        if self._last:
            say(self._last)


HUNG = 5
"""Exit code of a run that hung."""


def _end_at_once(text: str) -> None:
    """End the process from a thread beside the one that hangs; the log says why."""
    os._exit(HUNG)


def keep_silent(event: "Event") -> None:
    """Leave it to the places for events."""


def tell_event(event: "Event") -> None:
    """Say what happened to a source; what the pictures show goes where results go."""
    from edgevit.runtime.moment import clock_time
    from edgevit.runtime.records import event_record
    from edgevit.runtime.sinks.lines import event_text

    if event.of_source:
        say(f"{clock_time(event.moment.wall_s)} {event.moment.source}: {event_text(event_record(event))}")


def tell_error(error: EdgevitError) -> None:
    say(error.command_line_text)


def tell_page(url: str) -> None:
    say(f"the page is at {url}")
