"""`edgevit run`: classify image files."""

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgevit.cli.options import model_options, numbers, size
from edgevit.errors import ImageError

if TYPE_CHECKING:
    from edgevit.runtime.results import Result

UNKNOWN = "unknown"
"""Printed in place of a label when no class reaches the threshold."""

# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit run sbcformer_xs-int8.onnx cat.jpg
edgevit run sbcformer_xs-int8.onnx photos/ --json > answers.jsonl
find . -name '*.jpg' -newer last | edgevit run sbcformer_xs-int8.onnx -
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
) -> int:
    """Classify the images of SOURCE with MODEL.

    SOURCE is a file, a folder (searched recursively), a pattern in quotes such as "photos/*.jpg", or - for a list of
    paths on stdin. An image that cannot be read is named on stderr, the others are still classified, and the exit code
    is 1.

    In text, classes that would read 0.00 are left out, unless the first.
    """
    # OpenCV would add lines of its own, in the words of its source code, to the one that names an unreadable image
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from edgevit.runtime.classifier import load
    from edgevit.runtime.images import list_images

    failed = 0
    with load(
        model, threads, labels=labels, mean=numbers(mean, "--mean"), std=numbers(std, "--std"), imgsz=size(imgsz)
    ) as classifier:
        write = WRITERS[form](top_k, threshold, Path(source).is_file())
        for path in list_images(source):
            try:
                result = classifier(path)
            except ImageError as error:
                click.echo(f"edgevit: {printable(str(error))}", err=True)
                failed += 1
            else:
                write(result)
    return 1 if failed else 0


def _write_text(top_k: int, threshold: float, alone: bool) -> Callable[["Result"], None]:
    def write(result: "Result") -> None:
        best, *others = result.top(top_k, threshold) or [(UNKNOWN, result.top1_conf)]
        shown = [best, *((label, confidence) for label, confidence in others if confidence >= 0.005)]
        answer = "  ".join(f"{label} {confidence:.2f}" for label, confidence in shown)
        click.echo(answer if alone else printable(f"{result.source}: {answer}"))

    return write


def _write_json(top_k: int, threshold: float, alone: bool) -> Callable[["Result"], None]:
    return lambda result: click.echo(result.to_json(top_k, threshold))


def _write_csv(top_k: int, threshold: float, alone: bool) -> Callable[["Result"], None]:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["source", *(f"{name}{rank}" for rank in range(1, top_k + 1) for name in ("label", "conf"))])

    def write(result: "Result") -> None:
        cells = [cell for label, confidence in result.top(top_k, threshold) for cell in (label, f"{confidence:.4f}")]
        table.writerow([printable(str(result.source)), *cells, *[""] * (2 * top_k - len(cells))])
        sys.stdout.flush()

    return write


WRITERS = {None: _write_text, "json": _write_json, "csv": _write_csv}


def printable(text: str) -> str:
    """Replace what a file name may hold but a terminal cannot print: bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
