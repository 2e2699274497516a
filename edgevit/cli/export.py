"""`edgevit export`: a model of the zoo to one checked file for the board."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.artifact.manifest import Precision
from edgevit.cli.completion import complete_boards, complete_models, complete_weights
from edgevit.cli.labels_text import describe_labels
from edgevit.cli.options import LEVELS_OPTION, low_and_high, size
from edgevit.cli.parity_text import describe_parity
from edgevit.cli.progress import track
from edgevit.cli.sections import OTHERS, Command, section
from edgevit.cli.target_text import describe_target
from edgevit.cli.terminal import echo, echo_text
from edgevit.device_profiles import GENERIC, find_profile
from edgevit.errors import GateError, OptionError
from edgevit.export.recipe import METHODS
from edgevit.models.zoo.registry import get_spec
from edgevit.system.log import show_log

if TYPE_CHECKING:
    from edgevit.export import ExportResult
    from edgevit.export.quantization.search import Outcome

SYNTHESIZED = "synthesized"


# the backspace keeps click from joining the lines
EXAMPLES = """\b
edgevit export sbcformer_xs --int8
edgevit export efficientvit_b1 --weights b1.pt --int8 --data photos/
edgevit export efficientvit_seg_b0_cityscapes --imgsz 512x1024
edgevit export efficientvit_b0 --target rpi4 --budget-ms 12
edgevit export sbcformer_xs --weights pens.safetensors --half -o pens.onnx
"""


@click.command("export", cls=Command, epilog=EXAMPLES)
@click.argument("model", shell_complete=complete_models)
@section("Model")
@click.option(
    "--weights",
    metavar="FILE|NAME",
    shell_complete=complete_weights,
    help="Weights file (.pt .pth .pth.tar .safetensors), a name that `edgevit models MODEL` lists, 'imagenet', or "
    "'random'.",
)
@click.option("--num-classes", type=int, metavar="N", help="Number of classes; taken from the weights unless given.")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="Class names: one a line, or JSON.")
@section("File")
@click.option(
    "--target",
    default="generic",
    show_default=True,
    metavar="BOARD",
    shell_complete=complete_boards,
    help="Board to run on; see `edgevit profiles`.",
)
@click.option(
    "--budget-ms",
    type=float,
    metavar="MS",
    help="Choose the largest input, the format and the precision that are estimated to fit this time on BOARD; with "
    "labelled --data the most accurate that fit. What is given stays.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "tflite"]),
    help="Format of the file.  [default: what was found better on the target; onnx]",
)
@click.option("--int8", is_flag=True, help="Write 8-bit weights and activations: smallest and fastest.")
@click.option("--half", is_flag=True, help="Write 16-bit stored weights, float arithmetic: half the size.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8", "dynamic"]),
    help="Precision by name, in place of these; 'dynamic' (TFLite) has int8 weights, and rounds activations image by "
    "image.",
)
@click.option(
    "--io",
    type=click.Choice(["float", "int8", "uint8"]),
    help="Input and output of an int8 TFLite file; integers take raw pixels.  [default: float]",
)
@click.option(
    "--layout",
    type=click.Choice(["frigate"]),
    help="Write a folder for Frigate: labelmap.txt, and an int8 model.tflite with uint8 input and output, or of a "
    "detector a model.onnx.",
)
@click.option(
    "--gelu",
    type=click.Choice(["exact", "tanh"]),
    default="exact",
    show_default=True,
    help="Form of GELU in a TFLite file; 'tanh' differs by less than 0.0005, and is quicker in tflite-runtime 2.14.",
)
@section("int8")
@click.option(
    "--scheme",
    type=click.Choice(["U8S8", "S8S8"]),
    help="8-bit types of activations and weights.  [default: the target's; U8S8]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images to calibrate with (those trained on) and to judge by (those held out).",
)
@click.option("--unlabelled", is_flag=True, help="Sub-folders of DIR are no classes: measure agreement only.")
@click.option(
    "--calibration",
    multiple=True,
    type=click.Choice([SYNTHESIZED, *METHODS]),
    help="'synthesized' makes the images from the weights instead of --data; the others say how values become ranges. "
    "May be given twice.",
)
@click.option(
    "--max-drop",
    type=float,
    metavar="PCT",
    help="Keep blocks float until int8 loses at most this many percentage points of accuracy, mean IoU or AP.",
)
@click.option(
    "--calibration-images",
    type=int,
    default=256,
    show_default=True,
    metavar="N",
    help="How many images to calibrate with.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Decides which images of --data are drawn."
)
@section("Input and graph")
@click.option("--imgsz", metavar="N|HxW", help="Input size in pixels, such as 224 or 512x1024; multiples of 32.")
@LEVELS_OPTION
@click.option(
    "--batch", type=int, default=1, show_default=True, metavar="N", help="Images per inference, fixed in the file."
)
@click.option("--opset", type=int, default=20, show_default=True, metavar="N", help="ONNX operator set of the file.")
@click.option("--argmax", is_flag=True, help="Let a segmentation graph answer with class numbers: a smaller answer.")
@click.option("--nms", is_flag=True, help="Let a detector's ONNX graph sort out boxes on one object itself.")
@click.option("--no-simplify", is_flag=True, help="Leave the graph as PyTorch writes it.")
@section("Output")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File to write; MODEL[-int8|-half|-dynamic].onnx or .tflite in this folder unless given.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a report page, and its figures as JSON beside it.",
)
@section(OTHERS)
@click.option("-v", "--verbose", is_flag=True, help="Say what each step changed.")
def command(
    model: str,
    weights: str | None,
    num_classes: int | None,
    labels: Path | None,
    format_: str | None,
    int8: bool,
    half: bool,
    precision: Precision | None,
    io: Any,
    layout: Any,
    gelu: Any,
    data: Path | None,
    unlabelled: bool,
    calibration: tuple[str, ...],
    max_drop: float | None,
    calibration_images: int,
    seed: int,
    imgsz: str | None,
    levels: str | None,
    batch: int,
    opset: int,
    target: str,
    budget_ms: float | None,
    scheme: Any,
    argmax: bool,
    nms: bool,
    no_simplify: bool,
    output: Path | None,
    report: Path | None,
    verbose: bool,
) -> None:
    """Export MODEL as one file that runs on the board: weights, labels, preprocessing and a self-test inside."""
    from edgevit.export import export

    get_spec(model)  # a misspelt name is told even where torch is missing
    if verbose:
        show_log(logging.INFO)
    if format_ is None and layout is None and budget_ms is None:
        _say_format(target)
    made = export(
        model,
        output,
        report=report,
        track=track,
        weights=weights,
        format=format_,
        precision=_precision(int8, half, precision),
        io=io,
        layout=layout,
        gelu=gelu,
        num_classes=num_classes,
        labels=labels,
        data=data,
        unlabelled=unlabelled,
        synthesized=SYNTHESIZED in calibration,
        method=_method(calibration),
        max_drop=max_drop,
        calibration_images=calibration_images,
        imgsz=size(imgsz),
        levels=low_and_high(levels),
        batch=batch,
        opset=opset,
        target=target,
        budget_ms=budget_ms,
        tell=lambda line: echo(line, err=True),
        scheme=scheme,
        simplify=not no_simplify,
        argmax=argmax,
        nms=nms,
        seed=seed,
    )
    _summarize(made)
    if target == GENERIC and made.path.suffix == ".onnx":
        echo_text(describe_target(made.manifest), err=True)
    if made.outcome is not None and not made.outcome.met:
        raise GateError(
            f"--max-drop {max_drop} cannot be met: the best found, written to {made.path}, loses "
            f"{made.outcome.chosen.drop:.2f} points; allow more, or export without --int8"
        )


def _say_format(target: str) -> None:
    """Say which file format the target's profile prefers, and why."""
    if target != GENERIC:
        profile = find_profile(target)
        echo(f"format       {profile.format.preferred} for {profile.title}: {profile.format.why}", err=True)


def _method(calibration: tuple[str, ...]) -> Any:
    methods = sorted(set(calibration) - {SYNTHESIZED})
    if len(methods) > 1:
        raise OptionError(f"--calibration {' and '.join(methods)} exclude each other; give one of them")
    return methods[0] if methods else None


def _precision(int8: bool, half: bool, named: Precision | None) -> Precision | None:
    """Return the precision that was asked for; None where none was."""
    if int8 and half:
        raise OptionError("--int8 and --half are two different files; export twice, with one of them each")
    flagged: Precision | None = "int8" if int8 else "fp16" if half else None
    if named is not None and flagged not in (None, named):
        raise OptionError(f"--precision {named} and {flagged} are two different files; export twice, with one each")
    return named or flagged


def _summarize(result: "ExportResult") -> None:
    manifest = result.manifest

    def say(text: str) -> None:
        echo(text, err=True)

    weights = manifest.weights
    say(f"weights      {weights.source}{f' ({weights.note})' if weights.note else ''}; licence: {weights.license}")
    if not weights.trained:
        say("             UNTRAINED: random weights, the answers mean nothing")
    say(f"labels       {describe_labels(manifest.labels)}")
    say(f"checked      {describe_parity(manifest)}; self-test passed")
    if manifest.quantization is not None:
        calibration = manifest.quantization.calibration
        how = "activations are rounded image by image"
        if calibration is not None:
            skipped = f", {calibration.skipped} unreadable files skipped" if calibration.skipped else ""
            how = f"calibrated on {calibration.images} {calibration.source} images{skipped}"
        say(f"int8         {manifest.quantization.int8_mac_share:.1%} of the arithmetic; {how}")
    if result.outcome is not None:
        _say_search(result.outcome, say)
    for note in manifest.notes:
        say(f"note         {note}")
    say(f"size         {result.size_mb:.2f} MB (float32: {result.float_size_mb:.2f} MB)")
    if result.speedup is not None:
        advice = "" if result.speedup >= 1.05 else "; where speed matters more than size, export without int8"
        say(f"speed        {result.speedup:.2f} times that of float32 on this machine, one thread{advice}")
    say("")
    say(f"next:        edgevit run {result.path} PHOTO")
    say(f"             edgevit selftest {result.path}    (on the board)")
    echo(str(result.path))


def _say_search(outcome: "Outcome", say: Callable[[str], None]) -> None:
    """Say what a search for --max-drop found, and why each block that is float stayed so."""
    chosen = outcome.chosen
    say(f"search       {chosen.drop:.2f} points of {outcome.measure} lost on {outcome.images} images {outcome.origin}")
    for block in chosen.float_blocks:
        say(f"             float: {block}, alone in int8 it leaves {outcome.sensitivity[block]:.1f} dB")
