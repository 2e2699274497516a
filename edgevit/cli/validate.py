"""`edgevit validate`: judge models on a folder of images."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.completion import complete_model_files, complete_models
from edgevit.cli.options import model_options, numbers, size
from edgevit.cli.progress import track
from edgevit.cli.sections import Command, section
from edgevit.cli.text import printable
from edgevit.cli.validation_text import describe
from edgevit.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from edgevit.runtime.classifier import Classifier

CHECKPOINTS = (".pt", ".pth", ".tar", ".safetensors")
"""Suffixes of what PyTorch reads; everything else is a model for the runtime."""

EXAMPLES = """\b
edgevit validate sbcformer_xs-int8.onnx --data photos/
edgevit validate pens.onnx pens-int8.onnx --data photos/ --flips 50
edgevit validate pens.safetensors pens-int8.onnx --data photos/ --json
"""


@click.command("validate", cls=Command, epilog=EXAMPLES)
@click.argument(
    "models",
    metavar="MODEL...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=complete_model_files,
)
@section("Pictures")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of images to judge on."
)
@click.option("--unlabelled", is_flag=True, help="Sub-folders of DIR are no classes: compare the answers only.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Draw N images at random.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides which images --limit draws.")
@section("Answers")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; see docs/validation.md.")
@click.option(
    "--flips",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Changed answers to list for each model.",
)
@click.option(
    "--arch",
    metavar="NAME",
    shell_complete=complete_models,
    help="Model of a checkpoint that does not tell; see `edgevit models`.",
)
@model_options
def command(
    models: tuple[Path, ...],
    data: Path,
    unlabelled: bool,
    as_json: bool,
    flips: int,
    limit: int | None,
    seed: int,
    arch: str | None,
    labels: Path | None,
    mean: str | None,
    std: str | None,
    imgsz: str | None,
    threads: int | None,
) -> int:
    """Judge each MODEL on the images of DIR.

    Where DIR holds one sub-folder for each class, named as the model names it: accuracy, calibration error, what is
    taken for what. Else: how often each model answers as the first one, and how sure it is. DIR/val or DIR/test is used
    in its place if it exists. For segmentation, DIR/images beside DIR/masks (PNG files of class numbers): mean IoU.

    MODEL is an exported file, another ONNX or TFLite classifier, or (with torch) a checkpoint. An image that cannot be
    read is named on stderr, the others are still used, and the exit code is 1.
    """
    from edgevit.runtime.datasets.image_folder import find_images
    from edgevit.runtime.evaluation.classification import validate

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arch is not None and not any(is_checkpoint(model) for model in models):
        raise OptionError(f"--arch is for checkpoints ({' '.join(CHECKPOINTS)}); leave it out")
    told = {"mean": numbers(mean, "--mean"), "std": numbers(std, "--std"), "imgsz": size(imgsz)}
    opened = [(str(model), _open(model, arch, labels, told, threads)) for model in models]
    if any(classifier.task == "segment" for _, classifier in opened):
        return _judge_masks(opened, data, limit, seed, as_json)
    images = find_images(data, opened[0][1].names, unlabelled=unlabelled, limit=limit, seed=seed)
    if images.folder != data:
        _say(f"images of {images.folder}")
    if images.loose:
        _say(f"{images.loose} images beside the class folders of {images.folder} have no class, and are left out")
    result = validate(opened, images, flips, track)
    for reason in result.unreadable:
        _say(reason)
    click.echo(json.dumps(result.to_dict()) if as_json else printable(describe(result)))
    if result.unreadable:
        _say(f"{len(result.unreadable)} of {len(images.paths)} images could not be read")
    return 1 if result.unreadable else 0


def _judge_masks(
    opened: "list[tuple[str, Classifier]]", data: Path, limit: int | None, seed: int, as_json: bool
) -> int:
    from edgevit.cli import segmentation_text
    from edgevit.runtime.datasets.masks import find_masked_images
    from edgevit.runtime.evaluation.segmentation import validate_segmentation
    from edgevit.runtime.segmenter import Segmenter

    models = [(name, model) for name, model in opened if isinstance(model, Segmenter)]
    if len(models) < len(opened):
        other = next(name for name, model in opened if not isinstance(model, Segmenter))
        raise OptionError(f"{other} classifies, others segment; compare models of the same task")
    result = validate_segmentation(models, find_masked_images(data, limit=limit, seed=seed), track)
    for reason in result.unreadable:
        _say(reason)
    click.echo(json.dumps(result.to_dict()) if as_json else printable(segmentation_text.describe(result)))
    return 1 if result.unreadable else 0


def is_checkpoint(path: Path) -> bool:
    """Tell by its suffix whether PyTorch must read a file."""
    return path.suffix.lower() in CHECKPOINTS


def _open(path: Path, arch: str | None, labels: Path | None, told: dict[str, Any], threads: int | None) -> "Classifier":
    """Open a model; `told` is for those that do not carry their own preprocessing."""
    from edgevit.artifact.manifest import read_manifest
    from edgevit.runtime.backends.session import find_backend
    from edgevit.runtime.classifier import load

    if is_checkpoint(path):
        return _open_checkpoint(path, arch, labels, told["imgsz"], threads)
    find_backend(path)
    foreign = read_manifest(path) is None
    return load(path, threads, labels=labels, **(told if foreign else {}))


def _open_checkpoint(
    path: Path, arch: str | None, labels: Path | None, imgsz: tuple[int, int] | None, threads: int | None
) -> "Classifier":
    from edgevit.runtime.foreign import user_labels

    try:
        from edgevit.export.checkpoint import load_checkpoint
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(error.name, f"validating a checkpoint ({path})", "export") from error
    return load_checkpoint(path, arch, threads, labels=user_labels(labels), imgsz=imgsz)


def _say(text: str) -> None:
    click.echo(f"edgevit: {printable(text)}", err=True)
