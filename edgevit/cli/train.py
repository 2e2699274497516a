"""`edgevit train`: train or fine-tune a model on folders of images."""

import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgevit.cli.completion import complete_models
from edgevit.cli.options import numbers, size
from edgevit.cli.sections import Command
from edgevit.cli.signals import stop_on_signals
from edgevit.cli.terminal import echo, echo_over, say
from edgevit.cli.train_options import train_options
from edgevit.errors import ProcessLostError
from edgevit.runtime.sources.stop import Stop
from edgevit.schema import option_name

if TYPE_CHECKING:
    from edgevit.training import Accuracy

FIGURES = {
    "top1": "all",
    "macro": "mean of classes",
    "pixel_accuracy": "pixels",
    "miou": "mean IoU",
    "ap": "AP",
    "ap50": "AP50",
}
"""What the figures of a run are called."""
SHORTLY = {"top1": "held out", "miou": "held out, mean IoU", "ap": "held out, AP"}
"""What the figure of an epoch is called, the first that there is."""
MISTAKES = 5
"""Kinds of mistakes that are printed: the most frequent ones."""


EXAMPLES = """\b
edgevit train sbcformer_xs --data photos/
edgevit train efficientvit_b0 --init imagenet --data photos/ -o runs/pens
edgevit train sbcformer_xs --freeze --data photos/ -o runs/first
edgevit train sbcformer_xs --data photos/ --resume
"""


@click.command("train", cls=Command, epilog=EXAMPLES)
@click.argument("name", shell_complete=complete_models)
@train_options
@click.pass_context
def command(ctx: click.Context, /, name: str, **options: Any) -> None:
    """Train the model NAME on folders of images, one for each class, or of images with masks or boxes.

    DIR holds train/ and val/, or the class folders themselves, of which a tenth of the images is then held out.
    For segmentation the folders are images/ and masks/, and DIR/classes.txt names the classes; for detection DIR is as
    YOLO, COCO or Pascal VOC have it; see docs/training.md.
    What is left out depends on the number of images, and is said at the start. Writes NAME.safetensors, which
    `edgevit export --weights` reads, its facts in NAME.json, and NAME.html: curves, confusions and the worst photos.
    """
    from edgevit.training import Accuracy, BoxAccuracy, Watcher, train
    from edgevit.training.ranks import find_ranks, is_first_to_tell

    command_line = _spelled_out(ctx)
    display, stop = Display(), Stop()
    options["imgsz"] = size(options["imgsz"])
    for key in ("teacher_mean", "teacher_std"):
        options[key] = numbers(options[key], option_name(key))
    with stop_on_signals(stop):
        watcher = Watcher(display.line, display.step, lambda: stop.asked)
        try:
            result = train(name, **options, command=command_line, watcher=watcher)
        except ProcessLostError as error:
            # told here, where a signal is noted only: torchrun ends this process, too, once it has noticed
            if error.told or not is_first_to_tell():
                return
            say(error.command_line_text)
            sys.exit(error.exit_code)
    if not find_ranks().leads:
        return  # without a word, and as if all was well, lest torchrun ends the first process before it has told
    if result.accuracy is None:
        saved = f"stopped and saved; continue with: {command_line} --resume"
        early = f"stopped before the first step; begin again with: {command_line}"
        told = "stopped; nothing was saved" if options["freeze"] else saved if result.state.is_file() else early
        display.line(told)
        sys.exit(130)
    for label, share in result.accuracy.per_class.items():
        echo(f"{label:<20} {share:7.2%}")
    found_boxes = isinstance(result.accuracy, BoxAccuracy)
    of = f"{'on' if found_boxes else 'of'} {result.accuracy.images:,} images that were not trained on"
    for figure, value in result.accuracy.figures.items():
        echo(f"{FIGURES[figure]:<20} {'not known' if value is None else f'{value:7.2%}'}  {of}")
    if isinstance(result.accuracy, Accuracy):
        for line in describe_accuracy(result.accuracy):
            echo(line)
    if isinstance(result.accuracy, BoxAccuracy):
        echo(
            f"best threshold {result.accuracy.threshold:.2f}: counts are then off by "
            f"{result.accuracy.count_error:.2g} an image on average"
        )
    echo(f"wrote {result.page}: curves, confusions and the worst photos", err=True)
    echo(f"wrote {result.weights}; next:", err=True)
    echo(f"  edgevit export {name} --weights {result.weights} --int8 --data {options['data']}", err=True)


def describe_accuracy(accuracy: "Accuracy") -> list[str]:
    """Return how sure one can be, and lines of the most frequent mistakes."""
    from edgevit.runtime.evaluation.interval import how_sure

    mistakes = sorted(
        (
            (count, label, answer)
            for label, row in zip(accuracy.classes, accuracy.confusion, strict=True)
            for answer, count in zip(accuracy.classes, row, strict=True)
            if count and label != answer
        ),
        key=lambda mistake: -mistake[0],
    )
    lines = [f"{count:5,}  {label} taken for {name}" for count, label, name in mistakes[:MISTAKES]]
    return [how_sure(accuracy.right, accuracy.images), *lines]


def _spelled_out(ctx: click.Context) -> str:
    """Return the command with the options that were given, --resume aside."""
    from edgevit.training.ranks import find_ranks

    words = [*find_ranks().program, "train", ctx.params["name"]]
    for parameter in ctx.command.params:
        key = parameter.name or ""
        value = ctx.params[key]
        given = ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
        if not given or not isinstance(parameter, click.Option) or key == "resume":
            continue
        if isinstance(value, bool):
            words.append(parameter.opts[-1] if value else parameter.secondary_opts[-1])
        else:
            words += [parameter.opts[-1], str(value)]
    return shlex.join(words)


class Display:
    """Lines on stderr; on a terminal the last one is the progress, rewritten in place."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.started = time.monotonic()
        self.first: int | None = None
        self.latest = 0
        self.shown = 0.0
        self.width = 0

    def line(self, text: str) -> None:
        """Show a line that stays."""
        echo_over(text, self.width, stays=True) if self.width else echo(text, err=True)
        self.width = 0

    def step(self, record: dict[str, Any]) -> None:
        """Show a training step: validations stay, steps in between are shown twice a second or once a minute."""
        now = time.monotonic()
        if self.first is None or record["step"] <= self.latest:  # the first, or after those about the teacher
            self.first, self.started = int(record["step"]), now
        self.latest = int(record["step"])
        text = describe(record, self._left_s(record, now))
        if "epoch" in record:
            self.line(text)
        elif now - self.shown >= (0.5 if self.live else 60.0):
            self.shown = now
            if self.live:
                echo_over(text, self.width, stays=False)
                self.width = len(text)
            else:
                self.line(text)

    def _left_s(self, record: dict[str, Any], now: float) -> float | None:
        done = int(record["step"]) - (self.first or 0)
        return (now - self.started) / done * (int(record["of"]) - int(record["step"])) if done > 0 else None


def describe(record: dict[str, Any], left_s: float | None) -> str:
    """Return one line for a training record; `left_s` is the time to the end at the present pace, in seconds."""
    pixels = record["size"] if isinstance(record["size"], int) else "x".join(map(str, record["size"]))
    parts = [f"step {record['step']}/{record['of']}", f"{pixels} px"]
    parts += [f"loss {record['loss']:.3f}"] if "loss" in record else []
    if "epoch" in record:
        figure = next(name for name in SHORTLY if name in record)
        parts.insert(0, f"epoch {record['epoch']:g}")
        parts.append(f"{SHORTLY[figure]} {record[figure]:.2%}")
    if left_s is not None and record["step"] < record["of"]:
        parts.append(f"{left_s / 60:.0f} min left" if left_s >= 90 else f"{left_s:.0f} s left")
    return "  ".join(parts)
