"""`edgevit data`: what a folder of pictures holds."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgevit.cli.completion import complete_files
from edgevit.cli.data_text import describe
from edgevit.cli.sections import Command
from edgevit.cli.terminal import echo_json, echo_text, say

if TYPE_CHECKING:
    from edgevit.runtime.overview.summary import Task

EXAMPLES = """\b
edgevit data farm/
edgevit data farm/ --sheet farm.jpg
edgevit data photos/ --task classify --json
"""


@click.command("data", cls=Command, epilog=EXAMPLES)
@click.argument("data", metavar="DIR", type=click.Path(path_type=Path), shell_complete=complete_files)
@click.option(
    "--task",
    type=click.Choice(["classify", "segment", "detect"]),
    help="What DIR is for.  [default: what its files are for]",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.jpg",
    help="Draw some pictures with their boxes, masks or classes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; see docs/data.md.")
def command(data: Path, task: "Task | None", sheet: Path | None, as_json: bool) -> None:
    """Tell what the folder DIR holds, as train, export and validate read it.

    Boxes (YOLO, COCO, Pascal VOC), masks, or a folder for each class: how many pictures and objects, how large they
    are, and what is left out and why.
    """
    from edgevit.runtime.overview.sheet import check_sheet_path, write_sheet
    from edgevit.runtime.overview.summary import read_any, summarize

    if sheet is not None:
        check_sheet_path(sheet)
    folder, known = read_any(data, task)
    summary = summarize(folder, known)
    if as_json:
        echo_json(asdict(summary))
    else:
        echo_text(describe(summary))
    if sheet is not None:
        write_sheet(folder, sheet)
        say(f"{sheet}: look whether the pictures and what is drawn in them are right")
