"""`edgevit selftest`: does this machine reproduce what was measured at export?"""

from pathlib import Path

import click

from edgevit.cli.completion import complete_model_files
from edgevit.cli.options import VERBOSE_OPTION
from edgevit.cli.sections import Command
from edgevit.cli.terminal import echo


@click.command("selftest", cls=Command)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.option(
    "--threads",
    type=int,
    metavar="N",
    help="Threads to use.  [default: EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends]",
)
@VERBOSE_OPTION
def command(model: Path, threads: int | None) -> None:
    """Check that MODEL is undamaged, and that this machine prepares images and computes answers as the export did.

    Runs the small pictures stored in the file. Exit code 3 and the first figure that differs if it does not.
    """
    from edgevit.runtime.selftest import check_selftest

    report = check_selftest(model, threads)
    if report.boxes is None:
        answers = f"logits within {report.logit_difference:.2g} of the largest (allowed {report.logit_tolerance:.2g})"
    else:
        found = report.boxes.recorded - report.boxes.missing
        answers = (
            f"{found} of {report.boxes.recorded} boxes found again, scores within "
            f"{report.boxes.score_difference:.2g} (allowed {report.score_tolerance:.2g})"
        )
    echo(
        f"{model}: self-test passed, {report.cases} pictures; "
        f"input within {report.input_difference:.2g} (allowed {report.input_tolerance:.2g}), {answers}"
    )
    echo(f"next: edgevit run {model} IMAGE", err=True)
