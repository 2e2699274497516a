"""`edgevit train`: train or fine-tune a model on folders of images."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgevit.cli.completion import complete_models, complete_weights
from edgevit.cli.sections import Command, section
from edgevit.cli.signals import stop_on_signals
from edgevit.cli.terminal import echo, echo_over
from edgevit.runtime.sources.stop import Stop

FIGURES = {"top1": "all", "macro": "mean of classes", "pixel_accuracy": "pixels", "miou": "mean IoU"}
"""What the figures of a run are called."""


EXAMPLES = """\b
edgevit train sbcformer_xs --init cifar10 --data photos/
edgevit train efficientvit_b0 --init imagenet --data photos/ -o runs/pens
edgevit train sbcformer_xs --init cifar10 --data photos/ --resume
"""


@click.command("train", cls=Command, epilog=EXAMPLES)
@click.argument("name", shell_complete=complete_models)
@section("Run")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of train/ and val/, or of classes.",
)
@click.option(
    "--init",
    metavar="FILE|NAME",
    shell_complete=complete_weights,
    help="Fine-tune these weights: a file, a name that `edgevit models NAME` lists, or 'imagenet'.",
)
@click.option("--resume", is_flag=True, help="Continue the run in the output folder; repeat its other options.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]"
)
@section("Length and sizes")
@click.option(
    "--epochs",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Passes over the images.  [default: 60, with --init 15]",
)
@click.option("--imgsz", type=int, metavar="N", help="Final image size in pixels.  [default: the model's own]")
@click.option("--sizes", metavar="LIST", help='Sizes and epochs, instead of --imgsz and --epochs: "96*20,224*1".')
@click.option("--batch", type=int, default=128, show_default=True, metavar="N", help="Images in a step.")
@section("Optimization")
@click.option(
    "--learning-rate", type=float, metavar="X", help="Peak rate of AdamW.  [default: 0.002, with --init 0.0005]"
)
@click.option("--weight-decay", type=float, default=0.05, show_default=True, metavar="X", help="Weight decay of AdamW.")
@click.option(
    "--warmup-epochs", type=float, metavar="N", help="Epochs of rising rate.  [default: a tenth of all, at most 1]"
)
@click.option(
    "--ema-decay",
    type=float,
    default=0.998,
    show_default=True,
    metavar="X",
    help="Share of the averaged weights that a step keeps.",
)
@click.option(
    "--bn-batches",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="N",
    help="Batches for final BatchNorm statistics.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Decides everything that is drawn at random."
)
@section("Images")
@click.option(
    "--augmentation",
    type=click.Choice(["strong", "moderate", "light"]),
    default="strong",
    show_default=True,
    help="How much images are changed at random.",
)
@click.option("--balance", is_flag=True, help="Let rare classes count as much as common ones.")
@click.option(
    "--crop-pct",
    type=float,
    default=1.0,
    show_default=True,
    metavar="X",
    help="Central part of an image that is used, 0..1.",
)
@click.option(
    "--val-fraction",
    type=float,
    default=0.1,
    show_default=True,
    metavar="X",
    help="Share of the images that is held out if there is no val folder, 0..1.",
)
@section("Machine")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Processor that computes; 'auto' takes a GPU if there is one.",
)
@click.option(
    "--bfloat16/--no-bfloat16", default=None, help="Mixed precision in bfloat16.  [default: where the hardware has it]"
)
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Threads that read images."
)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads that compute.  [default: all cores]")
@click.pass_context
def command(ctx: click.Context, /, name: str, **options: Any) -> None:
    """Train the model NAME on folders of images, one for each class, or of images and masks.

    DIR holds train/ and val/, or the class folders themselves, of which a tenth of the images is then held out.
    For segmentation the folders are images/ and masks/, and DIR/classes.txt names the classes; see docs/training.md.
    Writes NAME.safetensors, which `edgevit export --weights` reads, with its facts in NAME.json.
    """
    from edgevit.training import Watcher, train

    command_line = _spelled_out(ctx)
    display, stop = Display(), Stop()
    with stop_on_signals(stop):
        watcher = Watcher(display.line, display.step, lambda: stop.asked)
        result = train(name, **options, command=command_line, watcher=watcher)
    if result.accuracy is None:
        display.line(f"stopped and saved; continue with: {command_line} --resume")
        sys.exit(130)
    for label, share in result.accuracy.per_class.items():
        echo(f"{label:<20} {share:7.2%}")
    of = f"of {result.accuracy.images:,} images that were not trained on"
    for figure, value in result.accuracy.figures.items():
        echo(f"{FIGURES[figure]:<20} {'not known' if value is None else f'{value:7.2%}'}  {of}")
    echo(f"wrote {result.weights}; next:", err=True)
    echo(f"  edgevit export {name} --weights {result.weights} --int8 --data {options['data']}", err=True)


def _spelled_out(ctx: click.Context) -> str:
    """Return the command with the options that were given, --resume aside."""
    words = ["edgevit", "train", ctx.params["name"]]
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
        self.shown = 0.0
        self.width = 0

    def line(self, text: str) -> None:
        """Show a line that stays."""
        echo_over(text, self.width, stays=True) if self.width else echo(text, err=True)
        self.width = 0

    def step(self, record: dict[str, Any]) -> None:
        """Show a training step: validations stay, steps in between are shown twice a second or once a minute."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.started = int(record["step"]), now
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
    parts = [f"step {record['step']}/{record['of']}", f"{record['size']} px", f"loss {record['loss']:.3f}"]
    if "epoch" in record:
        share = record["miou"] if "miou" in record else record["top1"]
        parts.insert(0, f"epoch {record['epoch']:g}")
        parts.append(f"{'held out, mean IoU' if 'miou' in record else 'held out'} {share:.2%}")
    if left_s is not None and record["step"] < record["of"]:
        parts.append(f"{left_s / 60:.0f} min left" if left_s >= 90 else f"{left_s:.0f} s left")
    return "  ".join(parts)
