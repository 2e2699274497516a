"""All that a command prints: each line is made `printable`, whatever names, labels and errors it holds."""

import json
import os
import sys
from typing import Any

import click

from edgevit.errors import OutputError
from edgevit.text import printable, printable_lines


def echo(*lines: str, err: bool = False) -> None:
    """Print lines; a line end inside of one becomes a space, as it cannot be ours."""
    for line in lines:
        _write(printable(line), err=err)


def echo_text(text: str, err: bool = False) -> None:
    """Print a text of several lines; what they hold of others' is `printable` already, its line ends are our own."""
    _write(printable_lines(text), err=err)


def echo_json(value: Any, indent: int | None = None) -> None:
    """Print a JSON document in ASCII: all other characters are escaped, and stay what they are."""
    separators = (",", ":") if indent is None else (",", ": ")
    _write(json.dumps(value, indent=indent, separators=separators, allow_nan=False))


def echo_over(text: str, width: int, *, stays: bool) -> None:
    """Write over the last `width` characters of the line that is shown on stderr, and end it if it `stays`."""
    _write("\r" + printable(text).ljust(width), err=True, nl=stays)


def say(text: str) -> None:
    """Print a line on stderr that names the program, as many programs may write there."""
    echo(f"edgevit: {text}", err=True)


def let_go() -> None:
    """Leave what a full disk, or a reader that went away, does not take: Python would complain of it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(text: str, *, err: bool = False, nl: bool = True) -> None:
    try:
        click.echo(text, err=err, nl=nl)
    except BrokenPipeError:
        raise
    except OSError as error:
        # where stderr cannot be written there is nobody to tell
        if not err:
            reason = error.strerror or error
            raise OutputError(f"stdout cannot be written: {reason}; free some space, or send it elsewhere") from error
