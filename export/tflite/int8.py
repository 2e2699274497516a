"""The int8 stage of a TFLite export: calibrate, choose what stays float, quantize, account for it."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Calibration, Preprocess, Quantization
from edgevit.export.cache import content_key
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer, block_name
from edgevit.export.quantization.calibrate import Ranges
from edgevit.export.quantization.ranges import cached_ranges
from edgevit.export.quantization.search import Outcome, judge_of, layers_of, search
from edgevit.export.recipe import Method
from edgevit.export.stage import ConversionJob
from edgevit.export.tflite.calibrate import calibrate_tflite
from edgevit.export.tflite.convert import INPUT
from edgevit.export.tflite.ends import with_uint8_ends
from edgevit.export.tflite.graph import PRODUCT, int8_share, tflite_layers
from edgevit.export.tflite.quantize import End, quantize_tflite
from edgevit.export.verify import run_file

SUFFIX = ".tflite"
PIXELS = (0.0, 1.0)
"""Range of an integer input: its 256 levels are those of a pixel."""
FORM = "2"
"""Version of what `quantize_tflite` makes of the same model and ranges; part of the keys of cached measurements."""

METHODS: dict[str, Method] = {
    "sbcformer": "minmax",
    "efficientvit": "minmax",
    "efficientvit_seg": "minmax",
    "fastervit": "minmax",
    **dict.fromkeys(("deit", "deit_hmhsa", "pvt", "pvt_hmhsa", "nextvit", "nextvit_hmhsa"), "minmax"),
}
"""How a family's activations are calibrated unless it is told."""


def float_layers(model: bytes) -> tuple[Layer, ...]:
    """Return a float model's layers in its order, as searches and reports ask for them."""
    return tuple(
        Layer(
            layer.name,
            layer.operator,
            None if layer.operator == PRODUCT else f"{layer.module}.weight",
            layer.name,
            layer.macs,
            block_name(layer.module),
        )
        for layer in tflite_layers(model)
    )


@dataclass(frozen=True)
class QuantizedTflite:
    """An int8 model."""

    model: bytes

    @cached_property
    def int8_share(self) -> float:
        """Share of the multiply-accumulates that run in int8, 0..1."""
        return int8_share(self.model)

    def logits(self, images: ImageSet, preprocessing: Preprocess) -> NDArray[np.float32]:
        """Return (images, classes)."""
        return run_file(self.model, SUFFIX, images, preprocessing)


@dataclass(frozen=True)
class TfliteQuantizer:
    """Makes int8 models of one float model and its calibrated ranges."""

    model: bytes
    ranges: Ranges
    """Ranges of the tensors that `calibrate_tflite` looks at."""
    ends: tuple[End, ...] = ()
    """What of the input and output is int8."""

    @cached_property
    def identity(self) -> str:
        """Digest of all that decides what `make` returns."""
        return content_key(self.model, repr(sorted(self.ranges.items())), repr(self.ends), FORM)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the float model, in its order."""
        return float_layers(self.model)

    def make(self, keep_float: Set[str]) -> QuantizedTflite:
        """Return the model with the named layers in float."""
        return QuantizedTflite(quantize_tflite(self.model, self.ranges, sorted(keep_float), self.ends))

    def alone(self, name: str) -> bytes:
        """Return the model in which the named layer is int8 and nothing else, not even stored weights."""
        others = sorted({layer.name for layer in self.layers} - {name})
        return quantize_tflite(self.model, self.ranges, others, float_weights=True)


@dataclass(frozen=True)
class TfliteInt8:
    """An int8 model and how it came about."""

    model: bytes
    quantization: Quantization
    outcome: Outcome | None
    """Result of the search for --max-drop; None without one."""
    quantizer: TfliteQuantizer


def make_int8(task: ConversionJob, float_model: bytes, host: Preprocess) -> TfliteInt8:
    """Return the int8 form of a float model, as the recipe asks.

    Args:
        task: what is exported.
        float_model: converted.
        host: the preprocessing that is left to do before it.
    """
    recipe, source = task.recipe, task.images.calibration
    assert source is not None
    method = recipe.method or METHODS[task.family]
    ranges = cached_ranges(
        float_model,
        source,
        host,
        recipe.batch,
        method,
        task.track,
        lambda batches: calibrate_tflite(float_model, batches, method),
    )
    ends: tuple[End, ...] = ()
    if recipe.io != "float":
        ranges = {**ranges, INPUT: PIXELS}
        # logits that become something else in the graph need no rounding first
        ends = ("INPUT",) if recipe.layout == "frigate" or recipe.argmax else ("INPUT", "OUTPUT")
    quantizer = TfliteQuantizer(float_model, ranges, ends)
    weighted = [layer.name for layer in quantizer.layers if layer.weight is not None]
    # the classifier's last product writes float logits, unless they are to be rounded anyway
    kept = set() if "OUTPUT" in ends else set(weighted[-1:])
    outcome = None
    if recipe.max_drop is not None:
        evaluation = task.images.evaluation
        reference = run_file(float_model, SUFFIX, evaluation, host)
        evaluator = judge_of(evaluation, host, reference)
        outcome = search(quantizer, kept, evaluator, recipe.max_drop, task.track)
        kept |= layers_of(quantizer.layers, outcome.chosen.float_blocks)
    model = quantizer.make(kept).model
    if recipe.io == "uint8":
        model = with_uint8_ends(model)
    calibration = Calibration(source.source, len(source.images), method, recipe.seed, source.skipped)
    return TfliteInt8(model, account("S8S8", model, calibration), outcome, quantizer)


def account(scheme: str, model: bytes, calibration: Calibration | None) -> Quantization:
    """Say what of a finished model is int8."""
    floating = tuple(layer.name for layer in tflite_layers(model) if not layer.int8)
    return Quantization(scheme, True, int8_share(model), floating, calibration)
