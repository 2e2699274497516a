"""The whole way from a model's name to a checked artifact."""

import contextlib
import importlib.metadata
import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

import edgevit
from edgevit.artifact import Calibration, Input, Manifest, Parity, Preprocess, Quantization, Weights
from edgevit.errors import OptionError
from edgevit.export.calibration import choose_images
from edgevit.export.half import store_half
from edgevit.export.images import ImageSet
from edgevit.export.quantize import PRESETS, float_layers, int8_mac_share, quantize
from edgevit.export.recipe import Recipe
from edgevit.export.simplify import simplify
from edgevit.export.speed import median_latencies_ms
from edgevit.export.trace import INPUT, trace
from edgevit.export.verify import check, compare
from edgevit.export.write import artifact_bytes, check_writable, replacing
from edgevit.models.layers import prepare_for_export
from edgevit.models.registry import check_input_size, get_spec, numbered_labels, size_note
from edgevit.models.resolve import ResolvedWeights, build_with_weights, resolve_weights
from edgevit.models.spec import ModelSpec
from edgevit.runtime.labels import read_labels
from edgevit.runtime.selftest import check_selftest, record_cases
from edgevit.runtime.session import open_session

log = logging.getLogger(__name__)

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps an iterable to show its progress: (items, what is done, how many) to the same items."""


@dataclass(frozen=True)
class Report:
    """What an export made."""

    path: Path
    manifest: Manifest
    size_mb: float
    float_size_mb: float
    """Size of the same model in plain float32."""
    speedup: float | None
    """Float latency over int8 latency on this machine, one thread; None for other precisions."""


def export(recipe: Recipe, out: Path, track: Track = lambda items, label, count: items) -> Report:
    """Build, load, trace, simplify, quantize and verify a model, and write it to `out` as one sealed file.

    Args:
        recipe: what to export.
        out: path of the file; an older one is replaced only when everything succeeded.
        track: wraps the loops over images, for a progress display.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if the result does not agree with PyTorch.
    """
    check_writable(out)
    spec = get_spec(recipe.model)
    weights = resolve_weights(spec, recipe.weights)
    how = _preprocess(recipe, spec, weights)
    model = build_with_weights(spec, weights, recipe.num_classes).eval()
    labels = _labels(recipe, spec, weights, model)
    calibration, verification = choose_images(recipe, spec, weights, model, how)
    shape = (recipe.batch, 3, *how.size)

    reference = _torch_logits(model, track(verification.inputs(how), "PyTorch's answers", len(verification.images)))
    parities: list[Parity] = []

    def verify(step: str, logits: NDArray[np.float32], precision: Any = "fp32") -> None:
        parity = compare(step, reference, logits)
        check(parity, precision, reference, trained=weights.trained)
        parities.append(parity)

    notes = list(prepare_for_export(model))
    verify("folding", _torch_logits(model, verification.inputs(how)))
    float_graph = trace(model, shape, recipe.opset)
    verify("tracing", _graph_logits(float_graph, verification, how))
    if recipe.simplify:
        float_graph = simplify(float_graph)
        verify("simplification", _graph_logits(float_graph, verification, how))

    graph, quantization = float_graph, None
    if recipe.precision == "fp16":
        graph = store_half(float_graph)
    elif recipe.precision == "int8":
        assert calibration is not None
        inputs = track(
            calibration.inputs(how, recipe.batch), "calibration", -(-len(calibration.images) // recipe.batch)
        )
        kept = float_layers(float_graph, PRESETS[spec.family.name])
        graph = quantize(float_graph, kept, inputs)
        share = int8_mac_share(float_graph, graph)
        source = Calibration(calibration.source, len(calibration.images), "minmax", recipe.seed, calibration.skipped)
        quantization = Quantization("U8S8", True, share, kept, source)
    if recipe.precision != "fp32":
        verify(recipe.precision, _graph_logits(graph, verification, how), recipe.precision)

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
        quantization=quantization,
        notes=tuple(note for note in (*notes, size_note(spec, how.size)) if note),
    )
    with replacing(out) as temporary:
        manifest = _write_checked(graph, manifest, temporary)
        size = temporary.stat().st_size
    speedup = None
    if recipe.precision == "int8":
        float_ms, int8_ms = median_latencies_ms([float_graph, graph])
        speedup = float_ms / int8_ms
    return Report(out, manifest, size / 1e6, float_graph.ByteSize() / 1e6, speedup)


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


def _graph_logits(graph: ModelProto, images: ImageSet, how: Preprocess) -> NDArray[np.float32]:
    """Run the graph on the images with the runtime's own session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        path.write_bytes(graph.SerializeToString())
        with contextlib.closing(open_session(path)) as session:
            return np.concatenate([session.run(batch) for batch in images.inputs(how)])


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
