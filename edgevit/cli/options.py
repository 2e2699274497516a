"""Options that several commands share: how to open a model, above all one that edgevit did not export."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edgevit.artifact.manifest import INTERPOLATIONS
from edgevit.cli.sections import OTHERS, section
from edgevit.errors import OptionError
from edgevit.schema import is_whole, read_number
from edgevit.system.log import show_log

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def adding(options: Sequence[Decorator]) -> Callable[[Command], Command]:
    """Return a decorator that adds click options to a command, in their order in its help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)  # type: ignore[assignment]
        return command

    return add


def _show_log(context: click.Context, option: click.Parameter, verbose: bool) -> None:
    if verbose:
        show_log(logging.INFO)


VERBOSE_OPTION = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_show_log,
    help="Say which device profile and how many threads are used, and why.",
)
LEVELS_OPTION = click.option(
    "--levels", metavar="LOW,HIGH", help="Black and white of pictures of more than 8 bits, such as 0,4095."
)
FOREIGN_OPTIONS = (
    click.option(
        "--outputs",
        type=click.Choice(("logits", "probabilities", "sigmoid")),
        help="What a foreign model answers with; sigmoid: a probability of its own for each class.  [default: what the "
        "graph's last operators tell]",
    ),
    click.option("--output", metavar="NAME", help="Output to take of a foreign model that has several."),
    click.option("--crop-pct", type=float, metavar="SHARE", help="Share that is cropped, for a foreign model; 0.875."),
    click.option(
        "--squash/--no-squash", default=None, help="Scale without keeping the aspect, or keep it, for a foreign model."
    ),
    click.option("--interpolation", type=click.Choice(INTERPOLATIONS), help="For a foreign model.  [default: bicubic]"),
    click.option("--bgr/--no-bgr", default=None, help="A foreign model takes blue, green, red, or red, green, blue."),
    LEVELS_OPTION,
)
"""What can be said only about a model that edgevit did not export."""
MODEL_OPTIONS = (
    section("Model"),
    click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="Class names: one a line, or JSON."),
    click.option("--mean", metavar="R,G,B", help="Mean of RGB in 0..1, for a model that edgevit did not export."),
    click.option("--std", metavar="R,G,B", help="Deviation of RGB in 0..1, for a model that edgevit did not export."),
    click.option("--imgsz", metavar="N|HxW", help="Input size in pixels, for a checkpoint or a model that takes any."),
    *FOREIGN_OPTIONS,
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
"""Adds MODEL_OPTIONS to a command, which takes labels, threads, and keywords for `take_model_options`."""
foreign_options = adding(FOREIGN_OPTIONS)
"""Adds FOREIGN_OPTIONS alone."""


def take_model_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return what `edgevit.load` is told about a model, but for its labels, among all that a command was given."""
    return {
        "mean": numbers(given["mean"], "--mean"),
        "std": numbers(given["std"], "--std"),
        "imgsz": size(given["imgsz"]),
        "levels": low_and_high(given["levels"]),
        **{name: given[name] for name in ("outputs", "output", "crop_pct", "squash", "interpolation", "bgr")},
    }


def low_and_high(text: str | None) -> tuple[float, float] | None:
    """Read "0,4095"."""
    if text is None:
        return None
    try:
        low, high = (read_number(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise OptionError(f"--levels is {text!r}, expected those of black and white such as 0,4095")
    return low, high


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Read "0.485,0.456,0.406", or "0.449", for one channel."""
    if text is None:
        return None
    try:
        values = tuple(read_number(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise OptionError(f"{option} is {text!r}, expected three numbers such as 0.485,0.456,0.406")
    return values


def size(text: str | None) -> tuple[int, int] | None:
    """Read "224" or "224x320" (height x width), also with a comma."""
    if text is None:
        return None
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if not all(is_whole(part) and int(part) for part in parts) or len(parts) > 2:
        raise OptionError(f"--imgsz is {text!r}, expected pixels such as 224, or height x width such as 224x320")
    return int(parts[0]), int(parts[-1])
