"""Options of `edgevit train` as tables."""

from pathlib import Path

import click

from edgevit.cli.completion import complete_weights
from edgevit.cli.options import adding
from edgevit.cli.sections import section

OPTIONS = (
    section("Run"),
    click.option(
        "--data",
        required=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder of train/ and val/, of classes, or of boxes.",
    ),
    click.option(
        "--init",
        metavar="FILE|NAME",
        shell_complete=complete_weights,
        help="Start from these weights: a file, a name that `edgevit models NAME` lists, 'imagenet' or 'random'.  "
        "[default: bundled ones that are made for it, or random]",
    ),
    click.option(
        "--freeze", is_flag=True, help="Train the last layer only: a first answer in a minute. Starts from weights."
    ),
    click.option(
        "--resume",
        is_flag=True,
        help="Continue the run in the output folder; repeat --data and what is about a teacher, the rest is as it was.",
    ),
    click.option(
        "-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]"
    ),
    section("Length and sizes"),
    click.option(
        "--epochs",
        type=click.FloatRange(0, min_open=True),
        metavar="N",
        help="Passes over the images.  [default: 15, over fewer than 800 photos up to 45, from random weights 60, "
        "for boxes 30 to 100, with --freeze 3]",
    ),
    click.option("--imgsz", metavar="N|HxW", help="Final image size in pixels.  [default: the model's own]"),
    click.option(
        "--sizes",
        metavar="LIST",
        help='Sizes and epochs, instead of --imgsz and --epochs: "96*20,224*1", or "96x160*20".',
    ),
    click.option(
        "--batch",
        type=int,
        metavar="N",
        help="Images in a step.  [default: 15 steps an epoch, or more of 128; for boxes 8, or 16]",
    ),
    section("Teacher"),
    click.option(
        "--teacher",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Learn also from the answers of this classifier, an ONNX or TFLite file of whatever classes.",
    ),
    click.option(
        "--teacher-weight",
        type=float,
        metavar="X",
        help="How much its answers count, where the labels count 1.  [default: 1]",
    ),
    click.option(
        "--temperature",
        type=float,
        metavar="X",
        help="What both answers are softened by before they are compared.  [default: 2]",
    ),
    click.option(
        "--teacher-mean", metavar="R,G,B", help="Mean of RGB in 0..1, for a teacher that edgevit did not export."
    ),
    click.option(
        "--teacher-std", metavar="R,G,B", help="Deviation of RGB in 0..1, for a teacher that edgevit did not export."
    ),
    click.option(
        "--unlabelled",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="More images, without a class: from these the teacher alone teaches.",
    ),
    section("Optimization"),
    click.option(
        "--learning-rate",
        type=float,
        metavar="X",
        help="Peak rate of AdamW.  [default: 0.0005 to 0.001, from random weights 0.002, for boxes 0.002, RetinaNets "
        "0.0002]",
    ),
    click.option("--weight-decay", type=float, metavar="X", help="Weight decay of AdamW.  [default: 0.05]"),
    click.option(
        "--warmup-epochs",
        type=float,
        metavar="N",
        help="Epochs of rising rate.  [default: a tenth of all, at most 1, for boxes 3]",
    ),
    click.option(
        "--ema-decay",
        type=float,
        metavar="X",
        help="Share of the averaged weights that a step keeps.  [default: for a tenth of all steps, at most 0.998]",
    ),
    click.option(
        "--bn-batches",
        type=click.IntRange(0),
        metavar="N",
        help="Batches for final BatchNorm statistics.  [default: 50]",
    ),
    click.option("--seed", type=int, metavar="N", help="Decides everything that is drawn at random.  [default: 0]"),
    section("Images"),
    click.option(
        "--augmentation",
        type=click.Choice(["strong", "moderate", "light"]),
        help="How much images are changed at random.  [default: strong; from trained weights with few of them, "
        "or with a teacher, moderate]",
    ),
    click.option(
        "--vertical-flip",
        is_flag=True,
        default=None,
        help="Turn half of the images upside down, too, which suits those from above.",
    ),
    click.option("--balance", is_flag=True, default=None, help="Let rare classes count as much as common ones."),
    click.option(
        "--crop-pct",
        type=float,
        metavar="X",
        help="Central part of an image that is looked at, in training too, 0..1.  [default: 1.0]",
    ),
    click.option(
        "--val-fraction",
        type=float,
        metavar="X",
        help="Share of the images that is held out if there is no val folder, 0..1.  [default: 0.1]",
    ),
    section("Machine"),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Processor that computes; 'auto' takes a GPU if there is one.",
    ),
    click.option(
        "--bfloat16/--no-bfloat16",
        default=None,
        help="Mixed precision in bfloat16.  [default: where the hardware has it]",
    ),
    click.option("--workers", type=int, default=2, show_default=True, metavar="N", help="Threads that read images."),
    click.option("--threads", type=int, metavar="N", help="Threads that compute.  [default: all cores]"),
)

train_options = adding(OPTIONS)
"""Adds OPTIONS to a command, which takes them as keywords for `edgevit.training.train`; `imgsz` is still text."""
