"""`edgevit validate`: judge models on a folder of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.completion import complete_model_files, complete_models
from edgevit.cli.options import model_options, take_model_options
from edgevit.cli.progress import track
from edgevit.cli.sections import Command, section
from edgevit.cli.terminal import echo_json, echo_text, say
from edgevit.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from edgevit.artifact.manifest import HeldOut
    from edgevit.runtime.classifier import Classifier
    from edgevit.runtime.evaluation.validate import AnyValidation

CHECKPOINTS = (".pt", ".pth", ".tar", ".safetensors")
"""Suffixes of what PyTorch reads; everything else is a model for the runtime."""

EXAMPLES = """\b
edgevit validate sbcformer_xs-int8.onnx --data photos/
edgevit validate pens.onnx pens-int8.onnx --data photos/ --report pens.html
edgevit validate hens.onnx hens-int8.onnx --data farm/ --threshold 0.4
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
@click.option("--all", "every", is_flag=True, help="Judge on all images of DIR, also those trained on.")
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
    help="Changed answers, and wrong ones, to list for each model.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="[CLASS=]P",
    help="Count boxes of at least this score, 0..1; CLASS=P for one class.  [default: the model's]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page: confusion matrices or counts, and the photographs with wrong or changed answers.",
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
    every: bool,
    unlabelled: bool,
    as_json: bool,
    flips: int,
    threshold: tuple[str, ...],
    report: Path | None,
    limit: int | None,
    seed: int,
    arch: str | None,
    labels: Path | None,
    threads: int | None,
    **given: Any,
) -> int:
    """Judge each MODEL on the images of DIR that it was not trained on.

    Where DIR holds one sub-folder for each class, named as the model names it: accuracy, calibration error, what is
    taken for what. Else: how often each model answers as the first one, and how sure it is. For segmentation,
    DIR/images beside DIR/masks (PNG files of class numbers): mean IoU. For detection, pictures with labels in any usual
    form: average precision, and how well the model counts.

    DIR/val (valid, validation) or DIR/test is used in its place if it exists. Else, if `edgevit train` made the model
    from DIR, the images that it held out; where that is not known all are used, and a line says so.

    MODEL is an exported file, another ONNX or TFLite model, or (with torch) a checkpoint. An image that cannot be
    read is named on stderr, the others are still used, and the exit code is 1.
    """
    from edgevit.export.report.place import check_report_path
    from edgevit.runtime.evaluation.validate import judge

    if arch is not None and not any(is_checkpoint(model) for model in models):
        raise OptionError(f"--arch is for checkpoints ({' '.join(CHECKPOINTS)}); leave it out")
    if report is not None:
        check_report_path(report)
    told = take_model_options(given)
    opened = [(str(model), _open(model, arch, labels, told, threads)) for model in models]
    if report is not None and (other := next((name for name, model in opened if model.task == "segment"), None)):
        raise OptionError(f"--report shows classes and boxes, and {other} segments; leave it out")
    result = judge(
        opened,
        data,
        [_held_out(Path(name), classifier) for name, classifier in opened],
        unlabelled=unlabelled,
        every=every,
        flips=flips,
        threshold=threshold,
        limit=limit,
        seed=seed,
        track=track,
        tell=say,
    )
    for reason in result.unreadable:
        say(reason)
    echo_json(result.to_dict()) if as_json else echo_text(_describe(result))
    if report is not None:
        _write_report(result, report)
    if result.unreadable:
        every_one = result.images + len(result.unreadable)
        say(f"{len(result.unreadable)} of {every_one} images could not be read")
    return 1 if result.unreadable else 0


def _held_out(path: Path, classifier: "Classifier") -> "HeldOut | None":
    """Return what a model's file says of the pictures that its training held out."""
    if classifier.manifest is not None:
        return classifier.manifest.weights.held_out
    if not is_checkpoint(path):
        return None
    from edgevit.models.weights.trained import read_training_facts

    facts = read_training_facts(path)
    return None if facts is None else facts.held_out


def _describe(result: "AnyValidation") -> str:
    from edgevit.cli import detection_text, segmentation_text, validation_text
    from edgevit.runtime.evaluation.detection import DetectionValidation
    from edgevit.runtime.evaluation.report import Validation

    if isinstance(result, DetectionValidation):
        return detection_text.describe(result)
    return validation_text.describe(result) if isinstance(result, Validation) else segmentation_text.describe(result)


def _write_report(result: "AnyValidation", path: Path) -> None:
    from edgevit.export.report.detection import write_detection
    from edgevit.export.report.validation import write_validation
    from edgevit.runtime.evaluation.detection import DetectionValidation
    from edgevit.runtime.evaluation.report import Validation

    if isinstance(result, DetectionValidation):
        write_detection(result, path)
    else:
        assert isinstance(result, Validation)
        write_validation(result, path)
    say(f"report: {path}")


def is_checkpoint(path: Path) -> bool:
    """Tell by its suffix whether PyTorch must read a file."""
    return path.suffix.lower() in CHECKPOINTS


def _open(path: Path, arch: str | None, labels: Path | None, told: dict[str, Any], threads: int | None) -> "Classifier":
    """Open a model; `told` is for those that do not carry their own preprocessing."""
    from edgevit.artifact.manifest import read_manifest
    from edgevit.runtime.backends.session import find_backend
    from edgevit.runtime.loading import load

    if is_checkpoint(path):
        return _open_checkpoint(path, arch, labels, told["imgsz"], threads)
    find_backend(path)
    foreign = read_manifest(path) is None
    opened: Classifier = load(path, threads, labels=labels, **(told if foreign else {}))
    return opened


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
