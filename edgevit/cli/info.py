"""`edgevit info`: what a model file says about itself."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.completion import complete_model_files
from edgevit.cli.labels_text import describe_labels, shortened
from edgevit.cli.sections import Command
from edgevit.cli.tables import table
from edgevit.cli.terminal import echo, echo_json, echo_text
from edgevit.errors import EdgevitError

if TYPE_CHECKING:
    from edgevit.artifact.manifest import Input, Manifest

WEIGHTS = ".safetensors"
"""Suffix of the files that `edgevit train` writes."""
LONGEST = 200
"""Letters shown of a value in another tool's metadata."""


@click.command("info", cls=Command)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=complete_model_files)
@click.option("--json", "as_json", is_flag=True, help="Print the whole document as JSON; see docs/artifact.md.")
def command(model: Path, as_json: bool) -> None:
    """Show what MODEL is: input, labels, weights, precision, parity with PyTorch, tools.

    The file's checksum is verified. Of a model that edgevit did not export, its inputs and outputs, its own metadata,
    and what `edgevit run` would do with it. Of a .safetensors file its model, labels, accuracy, and what it was trained
    on.
    """
    from edgevit.artifact.manifest import read_manifest
    from edgevit.runtime.backends.session import find_backend

    if model.suffix.lower() == WEIGHTS:
        _show_weights(model, as_json)
        return
    find_backend(model)
    manifest = read_manifest(model)
    if manifest is None:
        _show_foreign(model, as_json)
    elif as_json:
        echo_json(dataclasses.asdict(manifest))
    else:
        file = ("file", f"{model} ({model.stat().st_size / 1e6:.1f} MB, checksum good)")
        echo_text(table([file, *describe(manifest), *_describe_runtime(model)], others="left"))
        echo(f"next: edgevit run {model} IMAGE, or edgevit selftest {model}", err=True)


def _show_weights(model: Path, as_json: bool) -> None:
    from edgevit.cli.weights_text import describe_weights, weights_document

    if as_json:
        echo_json(weights_document(model))
        return
    echo_text(table(describe_weights(model), others="left"))


def _show_foreign(model: Path, as_json: bool) -> None:
    from edgevit.artifact.manifest import read_metadata
    from edgevit.artifact.reading import read_graph
    from edgevit.cli.foreign_plan import plan_foreign
    from edgevit.cli.foreign_text import describe_graph, describe_plan, next_command

    pairs, graph = read_metadata(model), read_graph(model)
    plan, reason = None, None
    try:
        plan = plan_foreign(model)
    except EdgevitError as error:
        reason = str(error)
    if as_json:
        found = {"metadata": pairs, **graph.to_dict(), "plan": plan and plan.to_dict(), "reason": reason}
        echo_json({"edgevit": None, **found})
        return
    cut = [(key, value if len(value) <= LONGEST else f"{value[:LONGEST]}...") for key, value in pairs.items()]
    lines = [*describe_graph(graph), *(cut or [("metadata", "none")]), *_describe_runtime(model)]
    echo(f"{model}: not exported by edgevit; it says")
    echo_text(table(lines, others="left"))
    echo("", "edgevit would take it so" if plan else f"edgevit cannot run it as it is: {reason}")
    if plan is not None:
        echo_text(table(describe_plan(plan), others="left"))
        echo(f"next: {next_command(str(model), plan)}", err=True)


def describe(manifest: "Manifest") -> list[tuple[str, str]]:
    """Return the document as (name, value) lines for people."""
    steps, weights, given = manifest.preprocess, manifest.weights, manifest.input
    lines = [
        ("model", f"{manifest.model}, {manifest.task}, {manifest.precision}, target {manifest.target}"),
        ("input", f"{given.name} {_by(_laid_out(given))} {given.dtype} {given.layout} {given.color}"),
        (
            "preprocess",
            f"{steps.interpolation}, crop {steps.crop_mode} {steps.crop_pct}, to {_by(steps.size)} (height x width)",
        ),
        *([("", f"levels {steps.levels[0]:g} (black) to {steps.levels[1]:g} (white)")] if steps.levels else []),
        (
            "normalize",
            f"mean {_list(steps.mean)} std {_list(steps.std)}{' (in the graph)' * given.normalized_in_graph}",
        ),
        ("labels", describe_labels(manifest.labels)),
        *_describe_boxes(manifest),
        ("weights", f"{weights.source}{'' if weights.trained else ' (UNTRAINED: its answers mean nothing)'}"),
        ("", f"licence {weights.license}, sha256 {weights.sha256[:16]}"),
        *([("", weights.note)] if weights.note else []),
    ]
    if manifest.quantization is not None:
        lines += _describe_quantization(manifest.quantization)
    same = {"segment": "pixels", "detect": "boxes"}.get(manifest.task, "top-1")
    lines += [
        (
            "parity",
            f"{p.step}: {same} {p.top1_agreement:.1%}, cosine {p.cosine:.6f}, max {p.max_abs:.2g} on {p.images} images",
        )
        for p in manifest.parity
    ]
    cases = len(manifest.selftest.cases) if manifest.selftest else 0
    lines.append(("self-test", f"{cases} pictures" if cases else "none"))
    lines += [("note", note) for note in manifest.notes]
    lines.append(("tools", ", ".join(f"{name} {version}" for name, version in manifest.tools.items())))
    return lines


def _describe_boxes(manifest: "Manifest") -> list[tuple[str, str]]:
    found = manifest.boxes
    if found is None:
        return []
    levels = f"{found.decode}, strides {', '.join(map(str, found.strides))}"
    return [("boxes", f"{levels}; told from {found.threshold:g} on, overlapping by at most {found.overlap:g}")]


def _describe_runtime(model: Path) -> list[tuple[str, str]]:
    """Return which runtimes can run a TFLite file, and its operators; nothing of other files."""
    if model.suffix.lower() != ".tflite":
        return []
    from edgevit.runtime.backends.tflite_operators import read_needs

    needs = read_needs(model)
    return [("runtime", needs.runtime), ("operators", ", ".join(map(str, needs.operators)))]


def _describe_quantization(found: Any) -> list[tuple[str, str]]:
    lines = [
        ("int8", f"{found.scheme}, {found.int8_mac_share:.1%} of multiply-accumulates"),
        ("", f"kept float: {shortened(found.float_layers) or 'nothing'}"),
    ]
    calibration = found.calibration
    if calibration is None:
        return [*lines, ("calibration", "none: activations are quantized while it runs")]
    skipped = f", {calibration.skipped} unreadable files skipped" if calibration.skipped else ""
    return [
        *lines,
        ("calibration", f"{calibration.images} images ({calibration.source}), {calibration.method}{skipped}"),
    ]


def _laid_out(given: "Input") -> tuple[int, ...]:
    """Return the input's shape as the graph has it."""
    batch, channels, height, width = given.shape
    return (batch, height, width, channels) if given.layout == "NHWC" else given.shape


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _list(numbers: tuple[float, ...]) -> str:
    return ",".join(map(str, numbers))
