"""The command line: each command is a module here that reads its arguments, makes one library call and prints.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 an accuracy, parity or
self-test gate was not met, 4 the source was lost, 5 the run hung.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from edgevit import __version__
from edgevit.cli import habits
from edgevit.cli.sections import CommandGroup
from edgevit.cli.terminal import echo, let_go, say
from edgevit.errors import EdgevitError
from edgevit.system.log import show_log
from edgevit.system.platforms import fill_closed_streams, print_in_utf8

COMMANDS = {
    "models": "edgevit.cli.models",
    "export": "edgevit.cli.export",
    "run": "edgevit.cli.run",
    "validate": "edgevit.cli.validate",
    "info": "edgevit.cli.info",
    "selftest": "edgevit.cli.selftest",
    "benchmark": "edgevit.cli.benchmark",
    "collect": "edgevit.cli.collect",
    "data": "edgevit.cli.data",
    "train": "edgevit.cli.train",
    "profiles": "edgevit.cli.profiles",
    "doctor": "edgevit.cli.doctor",
    "service": "edgevit.cli.service",
    "update": "edgevit.cli.update",
    "fleet": "edgevit.cli.fleet",
}
"""Command to the module whose `command` it is; imported only when used, so that the board never meets torch."""


class CommandTable(CommandGroup):
    """A group over COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[name]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            if meant := habits.command_of(args):
                answer = self._answer(ctx, *meant)
                raise click.UsageError(f"no command {args[0]!r}; {answer}")
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def _answer(self, ctx: click.Context, name: str, words: Sequence[str]) -> str:
        """Tell how another tool's command is typed here."""
        command = self.get_command(ctx, name)
        assert command is not None
        kept, unknown = habits.rewritten(words, command)
        lacking = f" (there is nothing for {', '.join(unknown)})" if unknown else ""
        return f"here it is: {habits.spelled(['edgevit', name, *kept])}{lacking}"


def _tell_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        echo(f"edgevit, version {__version__}")
        ctx.exit()


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Take a vision model from a PyTorch checkpoint to a small board, and run it there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `edgevit` command."""
    fill_closed_streams()
    try:
        _run(arguments)
    finally:
        let_go()


def _run(arguments: Sequence[str] | None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    print_in_utf8()
    show_log()
    try:
        if typed := habits.unreplaced_home(arguments):
            raise click.UsageError(f"{typed[0]} has a ~, which a shell does not replace there; write {typed[1]}")
        code = cli.main(arguments, prog_name="edgevit", standalone_mode=False)
    except EdgevitError as error:
        _fail(error.command_line_text, error.exit_code)
    except click.ClickException as error:
        _fail(_with_hint(error, arguments), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except MemoryError:
        _fail("out of memory; close other programs, or use a smaller --batch or --imgsz", 1)
    except BrokenPipeError:
        # the reader of a pipe went away, as `edgevit run ... | head` does
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _with_hint(error: click.ClickException, arguments: Sequence[str]) -> str:
    """Add what was probably meant where arguments are typed as imgsz=224, or an option as other tools call it."""
    message = error.format_message()
    command = error.ctx.command if isinstance(error, click.UsageError) and error.ctx else None
    if command is None:
        return message
    if isinstance(error, click.NoSuchOption):
        option = habits.find_option(error.option_name.lstrip("-"), command)
        near = habits.option_name(option) if option else next(iter(error.possibilities or ()), None)
        return f"no option {error.option_name}" + (f"; did you mean {near}?" if near else "")
    meant, _ = habits.rewritten(list(filter(habits.is_pair, arguments)), command)
    if meant:
        return f"{message} (did you mean {habits.spelled(meant)}?)"
    if isinstance(error, click.MissingParameter) and error.ctx:
        path, pieces = error.ctx.command_path, command.collect_usage_pieces(error.ctx)
        return f"{message.rstrip('.')}; type {' '.join([path, *pieces])}; {path} --help tells more"
    return message


def _fail(message: str, code: int) -> Any:
    if not _may_tell():
        sys.exit()
    say(message)
    sys.exit(code)


def _may_tell() -> bool:
    """Return whether this process says why it ends: of those that torchrun started, the first one that fails does.

    The others end as if all was well, lest torchrun ends the first one before it has told.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return True
    from edgevit.training.ranks import is_first_to_tell

    return is_first_to_tell()
