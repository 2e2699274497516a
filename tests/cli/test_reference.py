"""docs/cli.md is made from the commands, and every command and option says what it does."""

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from edgevit.cli import COMMANDS, cli
from tests.places import DOCS, ROOT


def commands(group: click.Command = cli, path: str = "edgevit") -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        ctx = click.Context(group)
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            yield f"{path} {name}", command
            yield from commands(command, f"{path} {name}")


OPTIONS = [
    (f"{path} {option.opts[-1]}", option.help or "")
    for path, command in commands()
    for option in command.params
    if isinstance(option, click.Option)
]


def is_sentence(text: str) -> bool:
    """Tell whether a text begins as a sentence does, ends as one does, and has three words or more."""
    words = text.split()
    return bool(re.match(r"['0-9A-Z`]", text)) and text.endswith(".") and len(words) >= 3 and words[0] != "Of"


def test_page_is_what_the_commands_say() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "edgevit.cli.reference"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert made.stdout == (DOCS / "cli.md").read_text(), "run: python -m edgevit.cli.reference > docs/cli.md"


def test_page_has_every_command_and_option() -> None:
    page = (DOCS / "cli.md").read_text()
    parts = dict(zip(*[iter(re.split(r"^## (.*)\n", page, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert {f"edgevit {name}" for name in COMMANDS} <= set(parts)
    for named, _ in OPTIONS:
        path, _, option = named.rpartition(" ")
        assert re.search(rf"^- `(-\w, )?{option}[ `]", parts[path], re.MULTILINE), named


@pytest.mark.parametrize(("name", "text"), OPTIONS, ids=[name for name, _ in OPTIONS])
def test_every_option_says_something_in_a_sentence(name: str, text: str) -> None:
    assert is_sentence(re.sub(r"\s+\[default: [^\]]*\]$", "", text)), text


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_says_something_in_sentences(name: str, command: click.Command) -> None:
    summary = command.get_short_help_str()
    assert is_sentence(summary)
    assert is_sentence(" ".join((command.help or "").split()))
