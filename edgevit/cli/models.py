"""`edgevit models`: the zoo as a table, or all that is known about one model; needs no torch."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import click

from edgevit.cli.tables import table
from edgevit.models.zoo.latency import describe_conditions, find_latency
from edgevit.models.zoo.registry import get_spec, list_models
from edgevit.models.zoo.spec import ModelSpec, WeightsSpec

HEADER = ("MODEL", "PARAMS", "MACS", "INPUT", "X86", "RPI4", "ACCURACY", "PUBLISHED BY", "CODE", "WEIGHTS")
ORDERS: dict[str, Callable[[ModelSpec], float]] = {
    "family": lambda spec: 0,
    "time": lambda spec: found.rpi4_int8_ms if (found := find_latency(spec.name)) else math.inf,
    "accuracy": lambda spec: -(spec.accuracy or 0),
}


@click.command(short_help="The models that can be exported, with sizes, accuracies, weights and licences.")
@click.argument("name", required=False)
@click.option(
    "--sort", type=click.Choice(list(ORDERS)), default="family", show_default=True, help="Order of the table."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(name: str | None, sort: str, as_json: bool) -> None:
    """List all models, or describe the model NAME.

    X86 and RPI4 are the time that an int8 ONNX file takes for one image, measured on one thread of a PC and estimated
    for a Raspberry Pi 4; "-" where it was not measured. Pick by them: fewer MACS are not always less time. ACCURACY is
    the published top-1 accuracy on ImageNet-1k, or the mean IoU on the data set in the model's name; CODE is the
    licence of the official code, WEIGHTS what --weights takes by name, with its licence.
    """
    every = sorted(map(get_spec, list_models()), key=ORDERS[sort])
    if as_json:
        found: Any = as_document(get_spec(name)) if name else [as_document(each) for each in every]
        click.echo(json.dumps(found, indent=2))
    elif name is None:
        click.echo(table([HEADER, *map(row, every)], others="left"))
        click.echo(f"\nX86: one thread, int8, {describe_conditions()}. RPI4: estimated, never measured.", err=True)
        click.echo("More: edgevit models NAME. Next: edgevit export NAME [--int8]", err=True)
    else:
        click.echo(details(get_spec(name)))
        click.echo(f"\nNext: edgevit export {name} [--int8]", err=True)


def row(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns under HEADER."""
    latency = find_latency(spec.name)
    return (
        spec.name,
        f"{spec.parameters / 1e6:.2f} M",
        f"{spec.macs / 1e9:.2f} G",
        _size(spec.preprocess.size),
        _milliseconds(latency.x86_int8_ms) if latency else "-",
        f"~{_milliseconds(latency.rpi4_int8_ms)}" if latency else "-",
        published(spec),
        spec.source,
        spec.family.reference_license,
        _available(spec),
    )


def published(spec: ModelSpec) -> str:
    """Return the published accuracy: "75.8 %", "75.7 % mIoU" of a segmentation model, or "-" where none is known."""
    if spec.accuracy is None:
        return "-"
    return f"{spec.accuracy:.1f} %{' mIoU' if spec.task == 'segment' else ''}"


def details(spec: ModelSpec) -> str:
    """Describe one model in lines of text."""
    steps = spec.preprocess
    facts = [
        ("model", spec.name),
        ("paper", spec.family.paper),
        ("parameters", f"{spec.parameters:,} ({spec.num_classes:,} classes)"),
        ("MACs", f"{spec.macs:,} at {_size(steps.size)}"),
        ("input", f"{_size(steps.size)}; {_sides(spec)}"),
        ("preprocessing", f"{steps.interpolation}, crop_pct {steps.crop_pct}, mean {steps.mean}, std {steps.std}"),
        ("accuracy", _accuracy(spec)),
        ("latency", _latency(spec)),
        ("official code", f"{spec.family.reference} ({spec.family.reference_license}); edgevit's own is Apache-2.0"),
        ("weights", "none published; pass --weights FILE, or train some" if not spec.weights else ""),
    ]
    lines = [f"{label:<15}{text}".rstrip() for label, text in facts]
    return "\n".join(lines + [line for weights in spec.weights for line in _weights_lines(weights)])


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
    board = f"int8 {_milliseconds(latency.rpi4_int8_ms)}, float {_milliseconds(latency.rpi4_fp32_ms)}"
    return f"one thread ({describe_conditions()}): {x86}; Raspberry Pi 4, estimated: {board}"


def _milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 10 else f"{value:,.0f} ms"


def _sides(spec: ModelSpec) -> str:
    step = spec.family.size_step
    return f"any multiple of {step}" if step > 1 else "any size"


def _weights_lines(weights: WeightsSpec) -> list[str]:
    figures = {"top-1": weights.top1, "mIoU": weights.miou}
    accuracy = next((f"{name} {value:.1f} %" for name, value in figures.items() if value is not None), None)
    accuracy = accuracy or "top-1: see the model card"
    return [
        f"  {weights.name}: {weights.note}; input {_size(weights.preprocess.size)}; {accuracy}",
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
        "preprocess": dataclasses.asdict(spec.preprocess),
        "latency": latency and dataclasses.asdict(latency),
        "weights": [dataclasses.asdict(weights) | {"bundled": weights.bundled} for weights in spec.weights],
    }


def _available(spec: ModelSpec) -> str:
    """Name the weights by licence: "imagenet_r224 r256" is short for imagenet_r224 and imagenet_r256."""
    groups: dict[str, str] = {}
    for weights in spec.weights:
        group = f"bundled, {weights.license}" if weights.bundled else weights.license
        stem, _, last = weights.name.rpartition("_")
        named = groups.get(group, "")
        groups[group] = f"{named} {last}" if stem and named.startswith(stem) else f"{named} {weights.name}".lstrip()
    return "; ".join(f"{names} ({group})" for group, names in groups.items()) or "-"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
