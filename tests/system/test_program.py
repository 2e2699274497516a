"""Programs beside `edgevit` tell a mistake in one line, too."""

import re
from pathlib import Path

import click
import click.testing
import pytest

from edgevit.errors import EdgevitError, OptionError
from edgevit.system.program import Program

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("error", "code"), [(OptionError("--seed \x1b is none"), 2), (EdgevitError("no file"), 1)])
def test_a_mistake_is_one_line_and_the_exit_code_of_its_kind(error: EdgevitError, code: int) -> None:
    @click.command(cls=Program)
    def fail() -> None:
        raise error

    told = click.testing.CliRunner().invoke(fail)
    assert (told.exit_code, told.stdout) == (code, "")
    assert re.fullmatch(r"Error: [ -~]+\n", told.stderr)


def test_every_program_beside_edgevit_is_one() -> None:
    """Those of benchmarks, and of modules that are run with `python -m`."""
    folders = ("benchmarks", "edgevit", "tools")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "cli" not in path.parts]
    made = [line for path in sources for line in re.findall(r"@click\.command\(.*", path.read_text(encoding="utf-8"))]
    assert len(made) > 25
    assert [line for line in made if not line.startswith("@click.command(cls=Program")] == []


def test_module_that_is_run_tells_what_there_is() -> None:
    from edgevit.export.data.synthesize import main

    told = click.testing.CliRunner().invoke(main, ["cow", "-o", "none.npz"])
    assert told.exit_code == 2
    assert re.fullmatch(r"Error: .*cow.*\n", told.stderr)
