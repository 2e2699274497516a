"""The table of docs/boards.md, from the files that boards sent: what was measured, and what had been estimated.

    python benchmarks/boards.py [FILE.json]... [--page docs/boards.md]

Without files those in benchmarks/boards/ are read. With --page the table in that page is replaced, between its marks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from edgevit.device_profiles import find_profile
from edgevit.errors import OptionError
from edgevit.export.estimate.estimate import conditions, milliseconds
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.sizes import find_works
from edgevit.runtime.benchmark.submission import BoardRun, Submission, read_submission
from edgevit.system.program import Program

SENT = Path(__file__).with_name("boards")
BEGIN, END = "<!-- made by benchmarks/boards.py -->", "<!-- end -->"
HEADS = ("board", "model, input", "file", "threads", "measured, ms", "estimated, ms", "note")
WANTED = (("rpi4", "efficientvit_b0"), ("rpi4", "sbcformer_xs"))
"""Boards and models whose int8 TFLite files stand in the table before anybody has measured them."""


@click.command(cls=Program, help=__doc__)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(files: tuple[Path, ...], page: Path | None) -> None:
    text = table([read_submission(path) for path in files or sorted(SENT.glob("*.json"))])
    if page is None:
        click.echo(text)
    else:
        page.write_text(with_table(page.read_text(), text))


def with_table(page: str, text: str) -> str:
    """Return a page with another table between its marks.

    Raises:
        ClickException: it has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise click.ClickException(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def table(sent: Sequence[Submission]) -> str:
    """Return Markdown: what boards measured, then what nobody has measured yet."""
    rows = [row for one in sorted(sent, key=lambda one: (one.board, one.date)) for row in _measured(one)]
    done = {(one.profile, run.model) for one in sent for run in one.runs}
    rows += [_empty(board, model) for board, model in WANTED if (board, model) not in done]
    lines = [HEADS, ("---",) * len(HEADS), *rows]
    count = f"{len(sent)} board{'' if len(sent) == 1 else 's'} measured." if sent else "No board has measured yet."
    return "\n".join([count, "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def _measured(one: Submission) -> Iterator[tuple[str, ...]]:
    for run in one.runs:
        times = run.inference
        yield (
            one.board,
            f"{run.model}, {_size(run.size)}",
            f"{run.format} {run.precision}",
            str(run.threads),
            f"{times.p50_ms:.1f} (90 %: {times.p90_ms:.1f}, 99 %: {times.p99_ms:.1f})",
            "-" if run.estimate is None else f"{run.estimate.ms:.1f}",
            _note(one, run),
        )


def _note(one: Submission, run: BoardRun) -> str:
    governor = one.during.governor or "governor not told"
    heat = "heat not told" if one.during.temperature_c is None else f"{one.during.temperature_c:.0f} C"
    doubts = [f"**not to be trusted:** {reason}" for reason in one.tainted]
    doubts += [] if run.settled else ["the warm-up did not settle"]
    return "; ".join([one.date[:10], governor, heat, *doubts]).replace("|", "/")


def _empty(board: str, model: str) -> tuple[str, ...]:
    profile, size = find_profile(board), get_spec(model).preprocess.size
    known = {(work.size, work.format, work.precision): work for work in find_works(model)}
    work, estimated = known.get((size, "tflite", "int8")), "-"
    try:
        threads, mhz = conditions(profile)
    except OptionError:
        threads = profile.threads.count or 0
    else:
        estimated = f"{milliseconds(work.instructions, work.misses, threads, mhz):.1f}" if work else "-"
    file = f"{model}, {_size(size)}"
    return profile.title, file, "tflite int8", str(threads), "empty: nobody has measured it", estimated, ""


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


if __name__ == "__main__":
    main()
