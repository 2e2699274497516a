"""What each rewrite of the graph changes: operators, difference from PyTorch, latency, and int8's noise.

    python benchmarks/rewrites.py [--rounds N]

The first table leaves one rewrite out of the float model at a time, the second out of the int8 model. "ratio" is the
median latency over that of the row with every rewrite, one thread, interleaved. "dB" is the ratio of the logits' power
to their error's, on the bundled calibration images that did not calibrate.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import mock

import click
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from accuracy import MODELS
from onnx import ModelProto
from quantization import sqnr
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.choose import choose_images
from edgevit.export.data.images import ImageSet
from edgevit.export.latency import median_latencies_ms
from edgevit.export.onnx.activation_lookup import use_lookups
from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.onnx.quantize import PRESETS, Preset, calibrated_tensors, executed_graph, preset_layers, with_pairs
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import trace
from edgevit.export.recipe import Recipe
from edgevit.export.verify import run_graph
from edgevit.models import efficientvit
from edgevit.models.layers import HasExportForm, fold_batchnorm
from edgevit.models.sbcformer import DepthwiseUpsample
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.system.program import Program

CALIBRATING = slice(0, 48)


@dataclass(frozen=True)
class Steps:
    """Which rewrites are done."""

    fold: bool = True
    export_form: bool = True
    simplify: bool = True
    opset: int = 20
    patches: tuple[Callable[[], contextlib.AbstractContextManager[object]], ...] = ()


def plain_hardsigmoid(x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6


EVERY = Steps()
FLOAT = {
    "every rewrite": EVERY,
    "BatchNorm not folded": replace(EVERY, fold=False),
    "attention scale not folded": replace(EVERY, export_form=False),
    "not simplified": replace(EVERY, simplify=False),
    "GELU, LayerNorm in parts": replace(EVERY, opset=17),
    "HardSigmoid in parts": replace(EVERY, patches=(lambda: mock.patch.object(F, "hardsigmoid", plain_hardsigmoid),)),
    "transposed convolution": replace(
        EVERY, patches=(lambda: mock.patch.object(DepthwiseUpsample, "forward", nn.ConvTranspose2d.forward),)
    ),
    "eps 1e-15": replace(EVERY, patches=(lambda: mock.patch.object(efficientvit, "EXPORT_EPS", 1e-15),)),
}
APPLIES = {
    "attention scale not folded": "sbcformer",
    "HardSigmoid in parts": "sbcformer",
    "transposed convolution": "sbcformer",
    "GELU, LayerNorm in parts": "sbcformer",
    "eps 1e-15": "efficientvit",
}
"""Rewrites that concern one family."""


@click.command(cls=Program, help=__doc__)
@click.option("--rounds", default=20, show_default=True)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
def main(rounds: int, models: tuple[str, ...]) -> None:
    for name in models:
        spec = get_spec(name)
        family, weights = spec.family.name, resolve_weights(spec, None)
        preprocessing = weights.preprocess
        model = build_with_weights(spec, weights).eval()
        every = choose_images(Recipe(name, precision="int8"), weights, model, preprocessing).calibration
        assert every is not None
        calibrating = ImageSet(every.source, every.images[CALIBRATING])
        shown = ImageSet(every.source, every.images[CALIBRATING.stop :])
        with torch.inference_mode():
            reference = np.concatenate([model(torch.from_numpy(x)).numpy() for x in shown.inputs(preprocessing)])
        rows = {label: steps for label, steps in FLOAT.items() if APPLIES.get(label, family) == family}
        graphs = {label: float_graph(name, steps, preprocessing) for label, steps in rows.items()}
        table(f"{name}, float", graphs, reference, shown, preprocessing, rounds)
        table(
            f"{name}, int8",
            int8_graphs(graphs["every rewrite"], family, calibrating, preprocessing),
            reference,
            shown,
            preprocessing,
            rounds,
        )


def float_graph(name: str, steps: Steps, preprocessing: Preprocess) -> ModelProto:
    """Return the float graph with only the given rewrites."""
    spec = get_spec(name)
    model = build_with_weights(spec, resolve_weights(spec, None)).eval()
    with contextlib.ExitStack() as stack:
        for patch in steps.patches:
            stack.enter_context(patch())
        if steps.fold:
            fold_batchnorm(model)
        if steps.export_form:
            for module in model.modules():
                if isinstance(module, HasExportForm):
                    module.take_export_form()
        graph = trace(model, (1, 3, *preprocessing.size), steps.opset)
    return simplify(graph) if steps.simplify else graph


def int8_graphs(graph: ModelProto, family: str, images: ImageSet, preprocessing: Preprocess) -> dict[str, ModelProto]:
    """Return int8 graphs with every rewrite, and with one of them left out."""
    ranges = calibrate(graph, calibrated_tensors(graph), lambda: images.inputs(preprocessing))
    preset = PRESETS[family]
    pairs = with_pairs(graph, preset_layers(graph, preset), ranges)
    return {
        "every rewrite": use_lookups(pairs),
        "no lookups": pairs,
        "first layers int8": use_lookups(with_pairs(graph, preset_layers(graph, Preset()), ranges)),
    }


def table(
    title: str,
    graphs: dict[str, ModelProto],
    reference: np.ndarray,
    images: ImageSet,
    preprocessing: Preprocess,
    rounds: int,
) -> None:
    click.echo(
        f"{title:28} {'operators':>9} {'executed':>8} {'largest difference':>18} {'dB':>6} {'ms':>7} {'ratio':>6}"
    )
    times = median_latencies_ms([graph.SerializeToString() for graph in graphs.values()], ".onnx", rounds)
    for (label, graph), ms in zip(graphs.items(), times, strict=True):
        found = run_graph(graph, images, preprocessing)
        executed = len(executed_graph(graph).graph.node)
        click.echo(
            f"{label:28} {len(graph.graph.node):9} {executed:8} {np.abs(found - reference).max():18.2g} "
            f"{sqnr(reference, found):6.1f} {ms:7.2f} {ms / times[0]:6.2f}"
        )


if __name__ == "__main__":
    main()
