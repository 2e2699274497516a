"""`edgevit models`: the zoo as a table, or all that is known about one model; needs no torch."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import click

from edgevit.models.registry import get_spec, list_models
from edgevit.models.spec import ModelSpec, WeightsSpec

HEADER = ("MODEL", "PARAMS", "MACS", "INPUT", "ACCURACY", "PUBLISHED BY", "CODE", "WEIGHTS")


@click.command(short_help="The models that can be exported, with sizes, accuracies, weights and licences.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(name: str | None, as_json: bool) -> None:
    """List all models, or describe the model NAME.

    ACCURACY is the published top-1 accuracy on ImageNet-1k, or the mean IoU on the data set in the model's name; CODE
    is the licence of the official code, WEIGHTS what --weights takes by name, with its licence.
    """
    if as_json:
        found: Any = as_document(get_spec(name)) if name else [as_document(get_spec(each)) for each in list_models()]
        click.echo(json.dumps(found, indent=2))
    elif name is None:
        click.echo(table([HEADER, *(row(get_spec(each)) for each in list_models())]))
        click.echo("\nMore: edgevit models NAME. Next: edgevit export NAME [--int8]", err=True)
    else:
        click.echo(details(get_spec(name)))
        click.echo(f"\nNext: edgevit export {name} [--int8]", err=True)


def row(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns under HEADER."""
    return (
        spec.name,
        f"{spec.parameters / 1e6:.2f} M",
        f"{spec.macs / 1e9:.2f} G",
        _size(spec.preprocess.size),
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


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align the columns of text, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)


def details(spec: ModelSpec) -> str:
    """Describe one model in lines of text."""
    how = spec.preprocess
    facts = [
        ("model", spec.name),
        ("paper", spec.family.paper),
        ("parameters", f"{spec.parameters:,} ({spec.num_classes:,} classes)"),
        ("MACs", f"{spec.macs:,} at {_size(how.size)}"),
        ("input", f"{_size(how.size)}; {_sides(spec)}"),
        ("preprocessing", f"{how.interpolation}, crop_pct {how.crop_pct}, mean {how.mean}, std {how.std}"),
        ("accuracy", _accuracy(spec)),
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
    family = spec.family
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
