"""The whole way from a model's name to a checked artifact."""

import contextlib
import importlib.metadata
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

import edgevit
from edgevit.artifact import Input, Manifest, Parity, Precision, Preprocess, Weights
from edgevit.errors import OptionError
from edgevit.export.choose import choose_images
from edgevit.export.facts import ExportFacts
from edgevit.export.gather import gather_facts
from edgevit.export.graph import layers
from edgevit.export.half import store_half
from edgevit.export.images import ExportImages
from edgevit.export.int8 import Int8, make_int8
from edgevit.export.quantize import quantize
from edgevit.export.recipe import Recipe
from edgevit.export.report import check_report_path, write_report
from edgevit.export.search import Outcome
from edgevit.export.simplify import simplify
from edgevit.export.speed import median_latencies_ms
from edgevit.export.trace import INPUT, trace
from edgevit.export.verify import check, compare, run_graph
from edgevit.export.write import artifact_bytes, check_writable, replacing
from edgevit.models.layers import prepare_for_export
from edgevit.models.registry import check_input_size, get_spec, numbered_labels, size_note
from edgevit.models.resolve import ResolvedWeights, build_with_weights, resolve_weights
from edgevit.models.spec import ModelSpec
from edgevit.runtime.labels import read_labels
from edgevit.runtime.progress import Track
from edgevit.runtime.selftest import check_selftest, record_cases
from edgevit.runtime.session import open_session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What an export made."""

    path: Path
    manifest: Manifest
    size_mb: float
    float_size_mb: float
    """Size of the same model in plain float32."""
    latencies_ms: tuple[float, float] | None
    """Of float and of int8 on this machine, one thread; None for other precisions."""
    outcome: Outcome | None
    """Of the search for --max-drop."""


def export(
    recipe: Recipe, out: Path, track: Track = lambda items, label, count: items, page: Path | None = None
) -> Report:
    """Build, load, trace, simplify, quantize and verify a model, and write it to `out` as one sealed file.

    Args:
        recipe: what to export.
        out: path of the file; an older one is replaced only when everything succeeded.
        track: wraps the loops over images, for a progress display.
        page: path of an HTML report to write beside it.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if the result does not agree with PyTorch.
    """
    check_writable(out)
    if page is not None:
        check_report_path(page)
    spec = get_spec(recipe.model)
    weights = resolve_weights(spec, recipe.weights)
    how = _preprocess(recipe, spec, weights)
    model = build_with_weights(spec, weights, recipe.num_classes).eval()
    labels = _labels(recipe, spec, weights, model)
    images = choose_images(recipe, weights, model, how)
    shape = (recipe.batch, 3, *how.size)

    verified = images.verification
    reference = _torch_logits(model, track(verified.inputs(how), "PyTorch's answers", len(verified.images)))
    parities: list[Parity] = []

    def verify(step: str, logits: NDArray[np.float32], precision: Precision = "fp32") -> None:
        parity = compare(step, reference, logits)
        check(parity, precision, reference, trained=weights.trained)
        parities.append(parity)
        log.info(
            "%s: logits within %.2g of PyTorch's, %.1f %% same class", step, parity.max_abs, 100 * parity.top1_agreement
        )

    notes = list(prepare_for_export(model))
    verify("folding", _torch_logits(model, verified.inputs(how)))
    float_graph = trace(model, shape, recipe.opset)
    verify("tracing", run_graph(float_graph, verified, how))
    if recipe.simplify:
        float_graph = simplify(float_graph)
        verify("simplification", run_graph(float_graph, verified, how))

    graph, int8 = float_graph, None
    if recipe.precision == "fp16":
        graph = store_half(float_graph)
    elif recipe.precision == "int8":
        int8 = make_int8(float_graph, recipe, spec.family.name, images, how, labels, track)
        graph = int8.graph
    if recipe.precision != "fp32":
        verify(recipe.precision, run_graph(graph, verified, how), recipe.precision)

    manifest = Manifest(
        model=spec.name,
        task="classify",
        input=Input(name=INPUT, shape=shape),
        preprocess=how,
        labels=labels,
        weights=Weights(weights.source, weights.sha256, weights.license, weights.trained, weights.note),
        precision=recipe.precision,
        target=recipe.target,
        tools=_tools(),
        parity=tuple(parities),
        quantization=int8.quantization if int8 else None,
        notes=tuple(note for note in (*notes, size_note(spec, how.size)) if note),
    )
    with replacing(out) as temporary:
        manifest = _write_checked(graph, manifest, temporary)
        size = temporary.stat().st_size
    latencies = median_latencies_ms([float_graph, graph]) if int8 else None
    report = Report(
        path=out,
        manifest=manifest,
        size_mb=size / 1e6,
        float_size_mb=float_graph.ByteSize() / 1e6,
        latencies_ms=(latencies[0], latencies[1]) if latencies else None,
        outcome=int8.outcome if int8 else None,
    )
    if page is not None:
        write_report(_facts(report, recipe, float_graph, graph, int8, images, track), page)
    return report


def _facts(
    report: Report,
    recipe: Recipe,
    float_graph: ModelProto,
    graph: ModelProto,
    int8: Int8 | None,
    images: ExportImages,
    track: Track,
) -> ExportFacts:
    """Measure what the report shows and the export did not need."""
    shown = images.evaluation if images.evaluation.images else images.verification
    every = {layer.name for layer in layers(float_graph)}
    return gather_facts(
        report.path,
        report.manifest,
        float_graph,
        graph,
        shown,
        None if recipe.data is None else shown.labels(recipe.data, report.manifest.labels),
        size_mb=report.size_mb,
        float_size_mb=report.float_size_mb,
        latencies_ms=report.latencies_ms,
        outcome=report.outcome,
        only_int8=(lambda name: quantize(float_graph, every - {name}, int8.ranges)) if int8 else None,
        track=track,
    )


def _preprocess(recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights) -> Preprocess:
    how = weights.preprocess
    if recipe.imgsz is not None:
        how = replace(how, size=(recipe.imgsz, recipe.imgsz))
    check_input_size(spec, how.size)
    return how


def _labels(recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights, model: nn.Module) -> tuple[str, ...]:
    classes = model.state_dict()[spec.family.head].shape[0]
    if recipe.labels is None:
        return weights.labels if len(weights.labels) == classes else numbered_labels(classes)
    labels = read_labels(recipe.labels)
    if len(labels) != classes:
        raise OptionError(f"--labels {recipe.labels} has {len(labels)} names, but the model has {classes} classes")
    return labels


def _torch_logits(model: nn.Module, inputs: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.concatenate([model(torch.from_numpy(batch)).numpy() for batch in inputs])


def _write_checked(graph: ModelProto, manifest: Manifest, path: Path) -> Manifest:
    """Write the artifact with its self-test recorded, and run that test on the finished file."""
    path.write_bytes(graph.SerializeToString())
    with contextlib.closing(open_session(path)) as session:
        manifest = replace(manifest, selftest=record_cases(session, manifest.preprocess, manifest.precision))
    path.write_bytes(artifact_bytes(graph, manifest))
    check_selftest(path)
    return manifest


def _tools() -> dict[str, str]:
    packages = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "numpy", "opencv-python-headless")
    return {"edgevit": edgevit.__version__, **{name: importlib.metadata.version(name) for name in packages}}
