"""`edgevit train`: train or fine-tune a model on folders of images."""

import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.core import ParameterSource

from edgevit.cli.completion import complete_models, complete_weights
from edgevit.cli.sections import Command, section
from edgevit.errors import MissingExtraError, OptionError
from edgevit.models.zoo.registry import get_spec

RATE, FINE_TUNING_RATE = 2e-3, 5e-4
EPOCHS, FINE_TUNING_EPOCHS = 60.0, 15.0
"""Defaults without and with --init."""


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
    spec = get_spec(name)
    if name != spec.name:
        raise OptionError(
            f"{name} names weights, and training starts from weights with --init; run: "
            f"edgevit train {spec.name} --init {spec.weights[0].name} --data DIR"
        )
    try:
        from edgevit.training import hardware
        from edgevit.training.job import Job, Watcher, run_job
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(error.name, "training", "train") from error
    out: Path = options["out"] or Path("runs") / name
    device = hardware.choose_device(options["device"])
    hardware.use_threads(options["threads"])
    job = Job(
        model=name,
        data=options["data"],
        out=out,
        recipe=_recipe(options, spec.preprocess.size[0], hardware.bfloat16_helps(device)),
        crop_pct=options["crop_pct"],
        val_fraction=options["val_fraction"],
        init=options["init"],
        resume=options["resume"],
        device=device,
        workers=options["workers"],
        bn_batches=options["bn_batches"],
        command=_spelled_out(ctx),
    )
    display, interrupt = Display(), Interrupt()
    with hardware.plain_memory_error():
        accuracy = run_job(job, Watcher(display.line, display.step, interrupt.asked))
    if accuracy is None:
        display.line(f"stopped and saved; continue with: {job.command} --resume")
        sys.exit(130)
    for label, share in accuracy.per_class.items():
        click.echo(f"{label:<20} {share:7.2%}")
    if spec.task == "segment":
        click.echo(f"{'mean IoU':<20} {accuracy.macro:7.2%}")
    of = "the pixels of " if spec.task == "segment" else ""
    click.echo(f"{'all':<20} {accuracy.top1:7.2%}  of {of}{accuracy.images:,} images")
    click.echo(f"wrote {job.weights_file}; next:", err=True)
    click.echo(f"  edgevit export {name} --weights {job.weights_file} --int8 --data {job.data}", err=True)


def _recipe(options: dict[str, Any], default_size: int, bfloat16_helps: bool) -> Any:
    """Return the Recipe that the options ask for."""
    from edgevit.training.recipe import Recipe, default_sizes, parse_sizes

    fine_tuning = options["init"] is not None
    if options["sizes"] is not None:
        if options["epochs"] is not None or options["imgsz"] is not None:
            raise OptionError("--sizes says both sizes and epochs; leave out --imgsz and --epochs")
        sizes = parse_sizes(options["sizes"])
    else:
        epochs = _given(options["epochs"], FINE_TUNING_EPOCHS if fine_tuning else EPOCHS)
        sizes = default_sizes(_given(options["imgsz"], default_size), epochs, progressive=not fine_tuning)
    tenth = sum(epochs for _, epochs in sizes) / 10
    return Recipe(
        sizes=sizes,
        batch=options["batch"],
        learning_rate=_given(options["learning_rate"], FINE_TUNING_RATE if fine_tuning else RATE),
        weight_decay=options["weight_decay"],
        warmup_epochs=_given(options["warmup_epochs"], min(1.0, tenth)),
        augmentation=options["augmentation"],
        ema_decay=options["ema_decay"],
        seed=options["seed"],
        bfloat16=_given(options["bfloat16"], bfloat16_helps),
        balance=options["balance"],
    )


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


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
        click.echo("\r" + text.ljust(self.width) if self.width else text, err=True)
        self.width = 0

    def step(self, record: dict[str, Any]) -> None:
        """Show a training step: validations stay, steps in between are shown twice a second or once a minute."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.started = int(record["step"]), now
        text = describe(record, self._left_s(record, now))
        if "top1" in record:
            self.line(text)
        elif now - self.shown >= (0.5 if self.live else 60.0):
            self.shown = now
            if self.live:
                click.echo("\r" + text.ljust(self.width), err=True, nl=False)
                self.width = len(text)
            else:
                self.line(text)

    def _left_s(self, record: dict[str, Any], now: float) -> float | None:
        done = int(record["step"]) - (self.first or 0)
        return (now - self.started) / done * (int(record["of"]) - int(record["step"])) if done > 0 else None


def describe(record: dict[str, Any], left_s: float | None) -> str:
    """Return one line for a training record; `left_s` is the time to the end at the present pace, in seconds."""
    parts = [f"step {record['step']}/{record['of']}", f"{record['size']} px", f"loss {record['loss']:.3f}"]
    if "top1" in record:
        parts.insert(0, f"epoch {record['epoch']:g}")
        parts.append(f"validation {record['top1']:.2%}")
    if left_s is not None and record["step"] < record["of"]:
        parts.append(f"{left_s / 60:.0f} min left" if left_s >= 90 else f"{left_s:.0f} s left")
    return "  ".join(parts)


class Interrupt:
    """Turns the first Ctrl-C or SIGTERM into a request to stop after the step; the second one acts at once."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def asked(self) -> bool:
        return self.signal != 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
