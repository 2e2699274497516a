"""`edgevit run`: classify files, videos, cameras and streams."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.ending import ending
from edgevit.cli.options import model_options, numbers, size
from edgevit.cli.run_options import stream_options, take_stream_options
from edgevit.cli.run_text import WRITERS, event_text, printable
from edgevit.errors import EdgevitError

if TYPE_CHECKING:
    from edgevit.runtime.events.event import Event

# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit run m.onnx cat.jpg
edgevit run m.onnx photos/ --json > answers.jsonl
edgevit run m.onnx clip.mp4 --every 1s
edgevit run m.onnx camera:0 --fps 2
edgevit run m.onnx picam --every 5s --roi gate=0.1,0.2,0.5,0.5
edgevit run m.onnx rtsp://user:password@192.168.1.20/stream --json
edgevit run m.onnx http://192.168.1.21/snapshot.jpg --once
rpicam-vid -t 0 -n --codec mjpeg -o - | edgevit run m.onnx -
find . -name '*.jpg' -newer last | edgevit run m.onnx -
"""


@click.command("run", epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source")
@click.option("--top-k", type=click.IntRange(min=1), default=5, show_default=True, metavar="K", help="Classes to show.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Show only classes with at least this confidence, 0..1; 'unknown' if there is none.",
)
@click.option("--json", "form", flag_value="json", help="One JSON object a line for each image; see docs/results.md.")
@click.option("--csv", "form", flag_value="csv", help="One CSV row for each image, below a header.")
@stream_options
@model_options
def command(
    model: Path,
    source: str,
    top_k: int,
    threshold: float,
    form: str | None,
    labels: Path | None,
    mean: str | None,
    std: str | None,
    imgsz: str | None,
    threads: int | None,
    **streaming: Any,
) -> int:
    """Classify the pictures of SOURCE with MODEL.

    SOURCE is a file, a folder (searched recursively), a pattern in quotes such as "photos/*.jpg", a video, a numbered
    sequence such as img_%04d.jpg; camera:0 or /dev/video0, picam (a Raspberry Pi's CSI camera), rtsp://, http:// (MJPEG
    or a snapshot), tcp://; or - for stdin: a list of paths, MJPEG, or raw frames. See docs/sources.md.

    Of cameras and streams only the newest frame is classified, and one that is lost is waited for; its loss and return
    are told on stderr. A file that cannot be read is named on stderr, the others are still classified, and the exit
    code is 1. Ctrl-C and SIGTERM end after the frame in hand with exit code 0.

    In text, classes that would read 0.00 are left out, unless the first.
    """
    # OpenCV would add lines of its own, in the words of its source code, to the one that names an unreadable image
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from edgevit.runtime.classifier import load
    from edgevit.runtime.stop import Stop

    failed = False

    def note(error: EdgevitError) -> None:
        nonlocal failed
        failed = True
        click.echo(f"edgevit: {printable(str(error))}", err=True)

    stop = Stop()
    with load(
        model, threads, labels=labels, mean=numbers(mean, "--mean"), std=numbers(std, "--std"), imgsz=size(imgsz)
    ) as classifier:
        options = take_stream_options(streaming)
        results = classifier.stream(source, on_event=_tell, on_error=note, stop=stop, **options)
        write = WRITERS[form](top_k, threshold, Path(source).is_file())
        live = False
        with ending(stop), contextlib.closing(results):
            for result in results:
                write(result)
                live = live or result.age_ms is not None
    # a camera sends a damaged picture now and then; a damaged file stays one
    return 1 if failed and not live else 0


def _tell(event: "Event") -> None:
    click.echo(f"edgevit: {printable(event_text(event))}", err=True)
