"""`edgevit doctor`: what is wrong with this board, and the command that mends it."""

from dataclasses import asdict
from pathlib import Path

import click

from edgevit.cli.completion import complete_model_files
from edgevit.cli.sections import Command
from edgevit.cli.terminal import echo, echo_json


@click.command("doctor", cls=Command)
@click.argument("model", required=False, type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text; see docs/doctor.md.")
def command(model: Path | None, as_json: bool) -> int:
    """Look for the known troubles of boards: one line for each check, and below it what mends it.

    With MODEL its self-test is run too. Exit code 1 if a check fails; warnings alone leave it 0.
    """
    from edgevit.doctor.environment import this_machine
    from edgevit.doctor.examine import examine

    findings = []
    for finding in examine(this_machine(model)):
        findings.append(finding)
        if not as_json:
            echo(f"{finding.level:<5} {finding.check:<18} {finding.text}")
            if finding.remedy:
                echo(f"{'':<25}fix: {finding.remedy}")
    failed = any(finding.level == "fail" for finding in findings)
    if as_json:
        echo_json({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2)
    return int(failed)
