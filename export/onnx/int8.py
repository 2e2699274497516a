"""The int8 stage of an export: calibrate, choose what stays float, quantize, account for it."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgevit.artifact.manifest import Calibration, Preprocess, Quantization
from edgevit.device_profiles.profile import Scheme
from edgevit.export.cache import content_key
from edgevit.export.data.images import ExportImages, ImageSet
from edgevit.export.layers import Layer
from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.half import store_half
from edgevit.export.onnx.quantize import FORM, PRESETS, calibrated_tensors, float_layers, int8_mac_share, quantize
from edgevit.export.quantization.calibrate import Ranges
from edgevit.export.quantization.ranges import cached_ranges
from edgevit.export.quantization.search import Outcome, judge_of, layers_of, search
from edgevit.export.recipe import Recipe
from edgevit.export.verify import run_graph
from edgevit.runtime.progress import Track


@dataclass(frozen=True)
class QuantizedGraph:
    """An int8 graph beside the float one it came from."""

    float_graph: ModelProto
    graph: ModelProto

    @cached_property
    def int8_share(self) -> float:
        """Share of the multiply-accumulates that run in int8, 0..1."""
        return int8_mac_share(self.float_graph, self.graph)

    def logits(self, images: ImageSet, preprocessing: Preprocess) -> NDArray[np.float32]:
        """Return (images, classes)."""
        return run_graph(self.graph, images, preprocessing)


@dataclass(frozen=True)
class GraphQuantizer:
    """Makes int8 graphs of one float graph and its calibrated ranges."""

    graph: ModelProto
    ranges: Ranges
    """Ranges of all tensors that the quantizer may ask about."""
    scheme: Scheme

    @cached_property
    def identity(self) -> str:
        """Digest of all that decides what `make` returns."""
        return content_key(self.graph.SerializeToString(), repr(sorted(self.ranges.items())), self.scheme, FORM)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the float graph, in its order."""
        return tuple(layers(self.graph))

    def make(self, keep_float: Set[str]) -> QuantizedGraph:
        """Return the graph with the named layers in float."""
        return QuantizedGraph(self.graph, quantize(self.graph, keep_float, self.ranges, self.scheme))


@dataclass(frozen=True)
class Int8:
    """A quantized graph and how it came about."""

    graph: ModelProto
    quantization: Quantization
    outcome: Outcome | None
    """Result of the search for --max-drop; None without one."""
    quantizer: GraphQuantizer


def make_int8(
    graph: ModelProto,
    recipe: Recipe,
    family: str,
    images: ExportImages,
    preprocessing: Preprocess,
    track: Track,
) -> Int8:
    """Return the int8 form of a simplified float graph, as the recipe asks."""
    source = images.calibration
    assert source is not None
    method = recipe.method or PRESETS[family].method
    ranges = cached_ranges(
        graph.SerializeToString(),
        source,
        preprocessing,
        recipe.batch,
        method,
        track,
        lambda batches: calibrate(graph, calibrated_tensors(graph), batches, method),
    )
    quantizer = GraphQuantizer(graph, ranges, _scheme(recipe))
    kept = float_layers(graph, PRESETS[family])
    outcome = None
    if recipe.max_drop is not None:
        reference = run_graph(graph, images.evaluation, preprocessing)
        evaluator = judge_of(images.evaluation, preprocessing, reference)
        outcome = search(quantizer, kept, evaluator, recipe.max_drop, track)
        back = layers_of(quantizer.layers, outcome.chosen.float_blocks)
        kept = float_layers(graph, PRESETS[family], back)
    made = quantizer.make(set(kept))
    # what stays float, such as attention biases, is a tenth of the file and needs no more than half precision
    result = store_half(made.graph)
    quantization = Quantization(
        scheme=quantizer.scheme,
        per_channel=True,
        int8_mac_share=made.int8_share,
        float_layers=kept,
        calibration=Calibration(source.source, len(source.images), method, recipe.seed, source.skipped),
    )
    return Int8(result, quantization, outcome, quantizer)


def _scheme(recipe: Recipe) -> Scheme:
    """Return the 8-bit types that the recipe names, or its target's profile does."""
    if recipe.scheme is not None:
        return recipe.scheme
    return recipe.board.quantization.scheme if recipe.board else "U8S8"
