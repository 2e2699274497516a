"""Write docs/cli.md from the commands themselves: `python -m edgevit.cli.reference > docs/cli.md`."""

import inspect
from collections.abc import Iterator

import click

from edgevit.cli import cli
from edgevit.cli.sections import Command
from edgevit.cli.terminal import echo_text

INTRODUCTION = """\
# The command line

Made from the commands by `python -m edgevit.cli.reference > docs/cli.md`. `edgevit COMMAND --help` shows the same.

Data goes to stdout, everything else to stderr, so that `edgevit run m.onnx photos/ --json > answers.jsonl` writes
answers only. A wrong word is answered in one line with the nearest right one.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, or done with a part that could not be read or written |
| 2 | the command was typed wrong |
| 3 | a required accuracy, parity or self-test was missed |
| 4 | the camera or stream was lost |
| 5 | the run hung: its model never answered, or its source did not let go |
| 130 | stopped by Ctrl-C before it was done |

## Completion by the Tab key

Type the line of your shell once, and open a new one:

```sh
echo 'eval "$(_EDGEVIT_COMPLETE=bash_source edgevit)"' >> ~/.bashrc                     # bash, 4.4 or newer
echo 'eval "$(_EDGEVIT_COMPLETE=zsh_source edgevit)"' >> ~/.zshrc                       # zsh
mkdir -p ~/.config/fish/completions     # fish, with the next line
echo '_EDGEVIT_COMPLETE=fish_source edgevit | source' > ~/.config/fish/completions/edgevit.fish
```

Then Tab completes commands and options, names of models (`edgevit export sbc`), of a model's weights (`--weights`,
`--init`), of boards (`--target`, `--estimate`), and `.onnx` and `.tflite` files. The shell must find `edgevit`:
activate its environment, or write its path, such as `.venv/bin/edgevit`.
"""


def reference() -> str:
    """Return the page: each command with its usage, description, options in sections, and examples."""
    table = click.Context(cli, info_name="edgevit")
    assert isinstance(cli, click.Group)
    return "\n".join([INTRODUCTION, *_commands(cli, table)])


def _commands(group: click.Group, parent: click.Context) -> Iterator[str]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert isinstance(command, Command)
        ctx = click.Context(command, info_name=name, parent=parent)
        yield from _command(command, ctx)
        if isinstance(command, click.Group):
            yield from _commands(command, ctx)


def _command(command: Command, ctx: click.Context) -> Iterator[str]:
    yield f"## {ctx.command_path}\n"
    yield f"    {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield f"{paragraph}\n"
    for title, options in command.sections(ctx).items():
        records = [option.get_help_record(ctx) for option in options if "--help" not in option.opts]
        lines = [f"- `{record[0]}`: {' '.join(record[1].split())}" for record in records if record]
        if lines:
            yield "\n".join([f"**{title}**\n", *lines, ""])
    if command.epilog:
        yield "```sh\n" + inspect.cleandoc(command.epilog).removeprefix("\b\n").strip() + "\n```\n"


if __name__ == "__main__":
    echo_text(reference().removesuffix("\n"))
