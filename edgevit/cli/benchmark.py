"""`edgevit benchmark`: how fast models are on this machine."""

from pathlib import Path
from typing import Any

import click

from edgevit.cli.benchmark_text import describe, describe_changes
from edgevit.cli.completion import complete_boards, complete_model_files
from edgevit.cli.options import VERBOSE_OPTION, foreign_options, size, take_model_options
from edgevit.cli.progress import track
from edgevit.cli.sections import OTHERS, Command, section
from edgevit.cli.terminal import echo, echo_text
from edgevit.errors import OptionError

DRAWN = (480, 640)
"""Height and width of the picture that is drawn unless one is given."""

# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit benchmark sbcformer_xs.onnx sbcformer_xs-int8.onnx --threads 1,2,4
edgevit benchmark sbcformer_xs-int8.onnx --image pen3.jpg --json > today.json
edgevit benchmark --compare yesterday.json today.json
edgevit benchmark sbcformer_xs-int8.onnx --threads 1,3,4 --submit board.json
edgevit benchmark --estimate rpi4 sbcformer_xs-int8.onnx
"""


@click.command("benchmark", cls=Command, epilog=EXAMPLES)
@click.argument(
    "models",
    nargs=-1,
    type=click.Path(path_type=Path),
    metavar="MODEL...",
    shell_complete=complete_model_files,
)
@section("Measuring")
@click.option(
    "--threads", metavar="N,N,...", help="Numbers of threads, each is measured.  [default: as `edgevit run` chooses]"
)
@click.option(
    "--image", type=click.Path(path_type=Path), metavar="FILE", help="Picture to classify; a drawn one unless given."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="N",
    help="Rounds, each with every model.",
)
@click.option(
    "--starts",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="New processes for the time to the first answer and the memory; 0 leaves them out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; see docs/benchmark.md.")
@click.option(
    "--submit",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Write what this board measured, with its estimates, to be sent to the project; see docs/boards.md.",
)
@section("Instead of measuring")
@click.option(
    "--compare",
    "compared",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="BEFORE AFTER",
    help="Compare two files that --json wrote, and measure nothing.",
)
@click.option(
    "--estimate",
    "board",
    metavar="BOARD",
    shell_complete=complete_boards,
    help="Measure nothing; estimate what each file would take on a Raspberry Pi 4 (rpi4) or alike.",
)
@section("A model that edgevit did not export")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="Class names, for a foreign model.")
@click.option("--mean", metavar="R,G,B", help="Mean of RGB in 0..1, for a foreign model.")
@click.option("--std", metavar="R,G,B", help="Deviation of RGB in 0..1, for a foreign model.")
@click.option("--imgsz", metavar="N|HxW", help="Input size in pixels, for a foreign model that takes any.")
@foreign_options
@section(OTHERS)
@VERBOSE_OPTION
def command(
    models: tuple[Path, ...],
    threads: str | None,
    image: Path | None,
    rounds: int,
    starts: int,
    as_json: bool,
    submit: Path | None,
    compared: tuple[Path, Path] | None,
    board: str | None,
    labels: Path | None,
    **given: Any,
) -> None:
    """Measure each MODEL, and say whether the machine was fit to be measured on.

    Decoding and scaling, inference, and what comes after it are timed apart and together. Several models, and several
    numbers of threads, take turns in every round; ratios are of times measured in the same round.
    """
    from edgevit.runtime.benchmark.compare import compare, find_doubts
    from edgevit.runtime.benchmark.measure import Plan, benchmark
    from edgevit.runtime.benchmark.report import read_report

    if submit is not None and (compared is not None or board is not None):
        raise OptionError("--submit writes what is measured, and --compare and --estimate measure nothing; give one")
    if compared is not None:
        if models:
            raise OptionError("--compare takes two files of its own and measures nothing; leave out MODEL")
        before, after = map(read_report, compared)
        echo_text(describe_changes(compare(before, after), list(find_doubts(before, after))))
        return
    if not models:
        raise click.UsageError("missing MODEL; give one or several exported files, or --compare BEFORE AFTER")
    if board is not None:
        _estimate(models, board, size(given["imgsz"]), as_json)
        return
    if submit is not None:
        _check_submission(models, image, submit)
    told = {"labels": None if labels is None else str(labels), **take_model_options(given)}
    picture, name = _picture(image)
    plan = Plan(models, _threads(threads), told, picture, name, rounds=rounds, starts=starts)
    report = benchmark(plan, track=track)
    if submit is not None:
        from edgevit.cli.board_report import write_submission

        write_submission(report, submit)
    if as_json:
        echo_text(report.to_json())
        return
    echo_text(describe(report))
    echo(f"next: edgevit benchmark {' '.join(map(str, models))} --json > before.json, and later --compare", err=True)


def _check_submission(models: tuple[Path, ...], image: Path | None, submit: Path) -> None:
    """Refuse before minutes of measuring what could not be sent."""
    from edgevit.runtime.benchmark.submission import check_submittable

    if image is not None:
        raise OptionError("--submit measures the drawn picture, the same on every board; leave out --image")
    if submit.is_dir() or not submit.absolute().parent.is_dir():
        raise OptionError(f"--submit {submit} is no file in a folder that exists; give one, such as board.json")
    check_submittable(models)


def _estimate(models: tuple[Path, ...], board: str, imgsz: tuple[int, int] | None, as_json: bool) -> None:
    from edgevit.device_profiles import find_profile
    from edgevit.export.extras import import_module

    estimate = import_module("edgevit.export.estimate.estimate", "--estimate").estimate
    from edgevit.cli.estimate_text import describe_estimate

    profile = find_profile(board)
    for model in models:
        guess = estimate(model, profile, imgsz=imgsz)
        echo_text(guess.to_json() if as_json else describe_estimate(guess))


def _threads(text: str | None) -> tuple[int, ...]:
    from edgevit.runtime.backends.session import thread_count
    from edgevit.runtime.backends.threads import threads_of_text

    if text is None:
        return (thread_count(),)
    return tuple(dict.fromkeys(map(threads_of_text, text.split(","))))


def _picture(path: Path | None) -> tuple[bytes, str]:
    """Return an image file's content and what it is called."""
    if path is not None:
        from edgevit.runtime.images.read import read_picture

        return read_picture(path), path.name
    import cv2

    from edgevit.runtime.images.drawn import draw_picture

    _, jpeg = cv2.imencode(".jpg", draw_picture(DRAWN, seed=0))
    return jpeg.tobytes(), f"drawn JPEG of {DRAWN[1]} x {DRAWN[0]} pixels"
