"""Commands of their own beside `edgevit`: benchmarks, and modules that are run with `python -m`."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from edgevit.errors import EdgevitError
from edgevit.text import printable


class Program(click.Command):
    """A command that tells what is wrong in one line, and ends with the number that `edgevit` would end with."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EdgevitError as error:
            click.ClickException(printable(error.command_line_text)).show()
            ctx.exit(error.exit_code)


def program_command(python: str = sys.executable) -> str:
    """Return what starts this edgevit from anywhere: sudo does not know the folder of an environment that is active."""
    script = Path(python).with_name("edgevit")
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(python)} -m edgevit"
