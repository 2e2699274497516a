"""`edgevit models`: the zoo as a table, or all that is known about one model; needs no torch."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import click

from edgevit.artifact.manifest import Preprocess
from edgevit.cli.board_times import board_basis, own_ms
from edgevit.cli.completion import complete_models
from edgevit.cli.labels_text import describe_labels
from edgevit.cli.sections import Command
from edgevit.cli.size_text import describe_sizes, sizes_document
from edgevit.cli.tables import table
from edgevit.cli.terminal import echo, echo_json, echo_text
from edgevit.models.zoo.latency import describe_conditions, find_latency
from edgevit.models.zoo.registry import IMAGENET, find_weights, get_spec, list_models
from edgevit.models.zoo.spec import ModelSpec, WeightsSpec

HEADER = ("MODEL", "PARAMS", "PI4 MS", "X86 MS", "TOP-1", "WEIGHTS")
HEADERS = {"classify": HEADER, "segment": (*HEADER[:4], "MIOU", "WEIGHTS"), "detect": (*HEADER[:4], "AP", "WEIGHTS")}
"""One table for each task, which differ in what the accuracy is."""
MEASURES = {"classify": "", "segment": " mIoU", "detect": " AP"}
"""What stands behind a published accuracy."""
SMALL_BOARD_MS = 125.0
"""Most that a model for small boards may take for one image on a Raspberry Pi 4, estimated, in milliseconds."""
FREE = ("Apache-2.0", "MIT", "CC BY 4.0")
"""Licences that need no mark in the table."""

ORDERS: dict[str, Callable[[ModelSpec], float]] = {
    "family": lambda spec: 0,
    "time": lambda spec: own_ms(spec.name) or math.inf,
    "accuracy": lambda spec: -(spec.accuracy or 0),
}


@click.command(
    "models",
    cls=Command,
    short_help="The models that can be exported, with sizes, times, accuracies and weights.",
)
@click.argument("name", required=False, shell_complete=complete_models)
@click.option("--all", "all_models", is_flag=True, help="List the large models and those for segmentation, too.")
@click.option(
    "--sort", type=click.Choice(list(ORDERS)), default="family", show_default=True, help="Order of the table."
)
@click.option("--json", "as_json", is_flag=True, help="Print all that is known about all models, as JSON.")
def command(name: str | None, all_models: bool, sort: str, as_json: bool) -> None:
    """List the models for small boards, or describe the model NAME.

    PARAMS are parameters in millions. PI4 MS and X86 MS are the milliseconds that an int8 ONNX file takes for one
    image, estimated for a Raspberry Pi 4 and measured on one thread of a PC; "-" where that was not done. TOP-1 is the
    published accuracy on ImageNet-1k, MIOU the mean IoU on the data set in the model's name, AP the average precision
    on COCO. WEIGHTS are what `edgevit export --weights` takes by name; "-" means that you train your own.
    """
    every = sorted(map(get_spec, list_models()), key=ORDERS[sort])
    if as_json:
        found: Any = as_document(get_spec(name)) if name else [as_document(each) for each in every]
        echo_json(found, indent=2)
    elif name is None:
        _list(every if all_models else list(filter(suits_small_boards, every)), all_models)
    else:
        spec = get_spec(name)
        echo_text(details(spec))
        echo("", f"Next: edgevit export {name} [--int8]", err=True)


def suits_small_boards(spec: ModelSpec) -> bool:
    """Tell whether a model takes at most SMALL_BOARD_MS on a Raspberry Pi 4, estimated, and others know its accuracy.

    Detectors need no published accuracy: people train them on their own classes.
    """
    known = spec.accuracy is not None or spec.task == "detect"
    return (own_ms(spec.name) or math.inf) <= SMALL_BOARD_MS and known


def first_model() -> ModelSpec:
    """Return the model to start with: of those with published ImageNet weights the quickest on a Raspberry Pi 4."""
    published_ones = (spec for spec in map(get_spec, list_models("classify")) if find_weights(spec, IMAGENET))
    return min(published_ones, key=ORDERS["time"])


def _list(specs: Sequence[ModelSpec], whole: bool) -> None:
    """Print a table of models for each task that there are some for."""
    tables = [
        table([header, *map(row, some)], others="left")
        for task, header in HEADERS.items()
        if (some := [spec for spec in specs if spec.task == task])
    ]
    echo_text("\n\n".join(tables))
    first = first_model()
    notes = [
        f"PI4: estimated for {board_basis()}, never measured.",
        f"X86: one thread, {describe_conditions()}.",
        "(NC): not for commercial use. (?): licence not stated; see the source.",
        *_starts(specs),
        f"Start here: edgevit export {first.name} --weights {IMAGENET} --int8 --data DIR",
        "More: edgevit models NAME" + ("." if whole else "; edgevit models --all: larger ones, and segmentation."),
    ]
    echo("", *notes, err=True)


def _starts(specs: Sequence[ModelSpec]) -> list[str]:
    """Return a line for each name of weights that are made to be trained on, and so are in no row."""
    found = [(weights.name, spec.name) for spec in specs for weights in spec.weights if weights.start]
    return [
        f"Starts for training (--init {name}): " + ", ".join(model for other, model in found if other == name)
        for name in dict.fromkeys(name for name, _ in found)
    ]


def row(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns under HEADER."""
    latency, board = find_latency(spec.name), own_ms(spec.name)
    return (
        spec.name,
        f"{spec.parameters / 1e6:.1f}M",
        f"~{_number(board)}" if board else "-",
        _number(latency.x86_int8_ms) if latency else "-",
        "-" if spec.accuracy is None else f"{spec.accuracy:.1f} %",
        _available(spec),
    )


def published(spec: ModelSpec) -> str:
    """Return the published accuracy: "75.8 %", "75.7 % mIoU", "25.8 % AP", or "-" where none is known."""
    return "-" if spec.accuracy is None else f"{spec.accuracy:.1f} %{MEASURES[spec.task]}"


def details(spec: ModelSpec) -> str:
    """Describe one model in lines of text."""
    steps = spec.preprocess
    facts = [
        ("model", spec.name),
        ("paper", spec.family.paper),
        ("parameters", f"{spec.parameters:,} ({spec.num_classes:,} classes)"),
        ("MACs", f"{spec.macs:,} at {_size(steps.size)}"),
        ("input", f"{_size(steps.size)}; {_sides(spec)}"),
        ("preprocessing", _preprocessing(steps)),
        ("accuracy", _accuracy(spec)),
        ("latency", _latency(spec)),
        ("official code", f"{spec.family.reference} ({spec.family.reference_license}); edgevit's own is Apache-2.0"),
        *([("note", spec.remark)] if spec.remark else []),
        ("weights", "none published; pass --weights FILE, or train some" if not spec.weights else ""),
    ]
    lines = [f"{label:<15}{text}".rstrip() for label, text in facts]
    lines += [line for weights in spec.weights for line in _weights_lines(weights)]
    return "\n".join([*lines, *(["", sizes] if (sizes := describe_sizes(spec.name)) else [])])


def _preprocessing(steps: Preprocess) -> str:
    if steps.crop_mode == "letterbox":
        scaled = f"{steps.interpolation}, letterbox (the whole picture, level {steps.fill} around it)"
    else:
        scaled = f"{steps.interpolation}, crop_pct {steps.crop_pct}"
    if steps.channels == "BGR" and steps.mean == (0, 0, 0) and steps.std == (1 / 255,) * 3:
        return f"{scaled}, BGR, levels 0 to 255"
    return f"{scaled}, mean {steps.mean}, std {steps.std}"


def _accuracy(spec: ModelSpec) -> str:
    where = f"at {_size(spec.preprocess.size)}"
    if spec.accuracy is None:
        return f"none published {where}"
    return f"{published(spec)} on {spec.dataset} {where}, published by {spec.source}"


def _latency(spec: ModelSpec) -> str:
    latency = find_latency(spec.name)
    if latency is None:
        return "not measured; edgevit benchmark FILE measures an exported file"
    x86 = f"int8 {_milliseconds(latency.x86_int8_ms)}, float {_milliseconds(latency.x86_fp32_ms)}"
    return f"one thread ({describe_conditions()}): {x86}"


def _milliseconds(value: float) -> str:
    return f"{_number(value)} ms"


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _sides(spec: ModelSpec) -> str:
    step = spec.family.size_step
    return f"any multiple of {step}" if step > 1 else "any size"


def _weights_lines(weights: WeightsSpec) -> list[str]:
    figures = {"top-1": weights.top1, "mIoU": weights.miou, "AP": weights.ap}
    accuracy = next((f"{name} {value:.1f} %" for name, value in figures.items() if value is not None), None)
    accuracy = accuracy or "accuracy: see the model card"
    labels = describe_labels(weights.labels) if weights.labels else "do not come with it; --labels FILE gives them"
    return [
        f"  {weights.name}: {weights.note}; input {_size(weights.preprocess.size)}; {accuracy}",
        f"    labels {labels}",
        f"    licence {weights.license}; source {weights.source}; {weights.url or f'bundled as {weights.file}'}",
    ]


def as_document(spec: ModelSpec) -> dict[str, Any]:
    """Return what is known as JSON values."""
    family, latency = spec.family, find_latency(spec.name)
    return {
        "name": spec.name,
        "family": family.name,
        "paper": family.paper,
        "reference": family.reference,
        "reference_license": family.reference_license,
        "parameters": spec.parameters,
        "macs": spec.macs,
        "task": spec.task,
        "classes": spec.num_classes,
        "dataset": spec.dataset,
        "accuracy": spec.accuracy,
        "accuracy_source": spec.source,
        "remark": spec.remark,
        "boxes": family.boxes and dataclasses.asdict(family.boxes),
        "preprocess": dataclasses.asdict(spec.preprocess),
        "latency": latency and dataclasses.asdict(latency),
        "sizes": sizes_document(spec.name),
        "weights": [dataclasses.asdict(weights) | {"bundled": weights.bundled} for weights in spec.weights],
    }


def _available(spec: ModelSpec) -> str:
    """Name the weights, all those for ImageNet as one, and mark those that not everybody may use; then the remark."""
    names = [f"{_short_name(weights)}{_mark(weights.license)}" for weights in spec.weights if not weights.start]
    remark = [f"({spec.remark.partition(':')[0]})"] if spec.remark else []
    return " ".join([*dict.fromkeys(names or ["-"]), *remark])


def _short_name(weights: WeightsSpec) -> str:
    return IMAGENET if weights.dataset == "ImageNet-1k" else weights.name


def _mark(license: str) -> str:
    if license in FREE:
        return ""
    return " (NC)" if "non-commercial" in license else " (?)"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
