"""The int8 stage of an export: calibrate, choose what stays float, quantize, account for it."""

from dataclasses import dataclass
from typing import Any

from onnx import ModelProto

from edgevit.artifact import Calibration, Preprocess, Quantization
from edgevit.export.cache import cached, content_key
from edgevit.export.calibrate import Ranges, calibrate
from edgevit.export.half import store_half
from edgevit.export.images import ExportImages
from edgevit.export.quantize import PRESETS, calibrated_tensors, float_layers, int8_mac_share, quantize
from edgevit.export.recipe import Recipe
from edgevit.export.search import Judge, Outcome, layers_of, search
from edgevit.export.verify import run_graph
from edgevit.runtime.progress import Track


@dataclass(frozen=True)
class Int8:
    """A quantized graph and how it came about."""

    graph: ModelProto
    quantization: Quantization
    outcome: Outcome | None
    """Of the search for --max-drop; None without one."""
    ranges: Ranges
    """Of all tensors that the quantizer may ask about."""


def make_int8(
    graph: ModelProto,
    recipe: Recipe,
    family: str,
    images: ExportImages,
    how: Preprocess,
    labels: tuple[str, ...],
    track: Track,
) -> Int8:
    """Return the int8 form of a simplified float graph, as the recipe asks."""
    assert images.calibration is not None
    method = recipe.method or PRESETS[family].method
    ranges = _ranges(graph, images, how, recipe.batch, method, track)
    kept = float_layers(graph, PRESETS[family])
    outcome = None
    if recipe.max_drop is not None:
        outcome = search(graph, ranges, kept, _judge(graph, recipe, images, how, labels), recipe.max_drop, track)
        back = layers_of(graph, outcome.chosen.float_blocks)
        kept = float_layers(graph, PRESETS[family], back)
    # what stays float, such as attention biases, is a tenth of the file and needs no more than half precision
    result = store_half(quantize(graph, kept, ranges))
    source = images.calibration
    quantization = Quantization(
        scheme="U8S8",
        per_channel=True,
        int8_mac_share=int8_mac_share(graph, result),
        float_layers=kept,
        calibration=Calibration(source.source, len(source.images), method, recipe.seed, source.skipped),
    )
    return Int8(result, quantization, outcome, ranges)


def _ranges(
    graph: ModelProto, images: ExportImages, how: Preprocess, batch: int, method: Any, track: Track
) -> dict[str, tuple[float, float]]:
    assert images.calibration is not None
    source = images.calibration
    tensors = calibrated_tensors(graph)
    count = -(-len(source.images) // batch)

    def compute() -> dict[str, tuple[float, float]]:
        return dict(calibrate(graph, tensors, lambda: track(source.inputs(how, batch), "calibration", count), method))

    key = content_key(graph.SerializeToString(), source.digest(how), str(batch), method)
    return {name: (low, high) for name, (low, high) in cached("ranges", key, compute).items()}


def _judge(graph: ModelProto, recipe: Recipe, images: ExportImages, how: Preprocess, labels: tuple[str, ...]) -> Judge:
    evaluation = images.evaluation
    truth = None if recipe.data is None else evaluation.labels(recipe.data, labels)
    return Judge(evaluation, how, run_graph(graph, evaluation, how), truth)
