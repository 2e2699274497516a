"""All that a command prints: each line is made `printable`, whatever names, labels and errors it holds."""

import json
from typing import Any

import click

from edgevit.text import printable, printable_lines


def echo(*lines: str, err: bool = False) -> None:
    """Print lines; a line end inside of one becomes a space, as it cannot be ours."""
    for line in lines:
        click.echo(printable(line), err=err)


def echo_text(text: str, err: bool = False) -> None:
    """Print a text of several lines; what they hold of others' is `printable` already, its line ends are our own."""
    click.echo(printable_lines(text), err=err)


def echo_json(value: Any, indent: int | None = None) -> None:
    """Print a JSON document in ASCII: all other characters are escaped, and stay what they are."""
    separators = (",", ":") if indent is None else (",", ": ")
    click.echo(json.dumps(value, indent=indent, separators=separators, allow_nan=False))


def echo_over(text: str, width: int, *, stays: bool) -> None:
    """Write over the last `width` characters of the line that is shown on stderr, and end it if it `stays`."""
    click.echo("\r" + printable(text).ljust(width), err=True, nl=stays)


def say(text: str) -> None:
    """Print a line on stderr that names the program, as many programs may write there."""
    echo(f"edgevit: {text}", err=True)
