"""Options that several commands share: how to open a model, above all one that edgevit did not export."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edgevit.cli.sections import OTHERS, section
from edgevit.errors import OptionError

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def adding(options: Sequence[Decorator]) -> Callable[[Command], Command]:
    """Return a decorator that adds click options to a command, in their order in its help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)  # type: ignore[assignment]
        return command

    return add


def _start_logging(context: click.Context, option: click.Parameter, verbose: bool) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


VERBOSE_OPTION = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_start_logging,
    help="Say which device profile and how many threads are used, and why.",
)
MODEL_OPTIONS = (
    section("Model"),
    click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="Class names: one a line, or JSON."),
    click.option("--mean", metavar="R,G,B", help="Mean of RGB in 0..1, for a model that edgevit did not export."),
    click.option("--std", metavar="R,G,B", help="Deviation of RGB in 0..1, for a model that edgevit did not export."),
    click.option("--imgsz", metavar="N|H,W", help="Input size in pixels, for a checkpoint or a model that takes any."),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Threads to use.  [default: EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends]",
    ),
    section(OTHERS),
    VERBOSE_OPTION,
)


model_options = adding(MODEL_OPTIONS)
"""Adds MODEL_OPTIONS to a command: labels, mean, std, imgsz, threads and verbose."""


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Read "0.485,0.456,0.406"."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise OptionError(f"{option} is {text!r}, expected three numbers such as 0.485,0.456,0.406")
    return values


def size(text: str | None) -> tuple[int, int] | None:
    """Read "224" or "224,320" (height, width)."""
    if text is None:
        return None
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if not all(part.isdecimal() and int(part) for part in parts) or len(parts) > 2:
        raise OptionError(f"--imgsz is {text!r}, expected pixels such as 224, or height,width such as 224,320")
    return int(parts[0]), int(parts[-1])
