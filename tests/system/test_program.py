"""Programs beside `edgevit` tell a mistake in one line, too."""

import os
import re
import runpy
import sys
import unittest.mock
from pathlib import Path

import click
import click.testing
import pytest

from edgevit.errors import EdgevitError, OptionError
from edgevit.system.program import Program

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))


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


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_script_of_the_repository_starts(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that reads options tells them; of the others what they import must be there."""
    home = next(folder for folder in script.parents if not (folder / "__init__.py").exists())
    helps = re.search(r"@click\.command|argparse\.ArgumentParser", script.read_text(encoding="utf-8")) is not None
    # "worker" of one folder is not that of another
    before = set(sys.modules)
    code: object = None
    monkeypatch.syspath_prepend(home)
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    try:
        with unittest.mock.patch.dict(os.environ):
            runpy.run_path(str(script), run_name="__main__" if helps else "imported")
    except SystemExit as end:
        code = end.code
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        if any((place / name).exists() for place in (ROOT, home) for name in (package, f"{package}.py")):
            raise
        pytest.skip(f"it takes {package}, which is not installed here")
    finally:
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or ROOT.parent).is_relative_to(home):
                del sys.modules[name]
    assert (code, capsys.readouterr().out.lower().startswith("usage: ")) == ((0, True) if helps else (None, False))
