"""The progress of a long loop, on stderr."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from edgevit.text import printable


def track(items: Iterable[Any], label: str, count: int) -> Iterator[Any]:
    """Show the progress of a loop: a bar on a terminal, one line otherwise."""
    with click.progressbar(items, length=count, label=printable(label), file=sys.stderr) as bar:
        yield from bar
