"""Prepared model to TFLite: convert, then half precision or int8, each step compared with PyTorch."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact import Calibration, Input, Preprocess, Quantization
from edgevit.export.cache import cached, content_key
from edgevit.export.calibrate import Method, Ranges
from edgevit.export.stage import Made, Task
from edgevit.export.tflite_calibrate import calibrate_tflite
from edgevit.export.tflite_convert import INPUT, convert
from edgevit.export.tflite_graph import PRODUCT, int8_share, tflite_layers
from edgevit.export.tflite_io import with_uint8_ends, with_uint8_probabilities
from edgevit.export.tflite_quantize import End, quantize_dynamic, quantize_tflite, store_half_tflite
from edgevit.export.tflite_speed import median_latencies_ms
from edgevit.export.verify import run_file
from edgevit.tflite_writing import artifact_bytes

PACKAGES = (
    "torch",
    "litert-torch",
    "litert-converter",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)
SUFFIX = ".tflite"
PIXELS = (0.0, 1.0)
"""Range of an integer input: its 256 levels are those of a pixel."""


@dataclass(frozen=True)
class Preset:
    """How a family's models become int8; chosen on the bundled models by benchmarks/tflite.py."""

    method: Method = "minmax"


PRESETS = {"sbcformer": Preset(), "efficientvit": Preset()}


def make(task: Task) -> Made:
    """Return the model as TFLite, as the recipe asks.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if a step does not agree with PyTorch.
    """
    recipe = task.recipe
    integer = recipe.io != "float"
    given = Input(
        name=INPUT,
        shape=task.shape,
        dtype="float32" if recipe.io == "float" else recipe.io,
        layout="NHWC",
        normalized_in_graph=integer,
    )
    host = replace(task.how, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) if integer else task.how

    def answers(model: bytes) -> NDArray[np.float32]:
        return run_file(model, SUFFIX, task.images.verification, host)

    float_model = convert(task.model, task.shape, task.how if integer else None)
    task.verify("conversion", answers(float_model))
    model, quantization = float_model, None
    if recipe.precision == "fp16":
        model = store_half_tflite(float_model)
    elif recipe.precision == "dynamic":
        model = quantize_dynamic(float_model)
        quantization = _account("dynamic", model, None)
    elif recipe.precision == "int8":
        model, quantization = _int8(task, float_model, host)
    if recipe.precision != "fp32":
        task.verify(recipe.precision, answers(model), recipe.precision)
    if recipe.layout == "frigate":
        model = with_uint8_probabilities(model)

    def latencies() -> tuple[float, float]:
        plain, exported = median_latencies_ms([float_model, model])
        return plain, exported

    return Made(
        content=model,
        seal=lambda manifest: artifact_bytes(model, manifest),
        input=given,
        float_size_mb=len(float_model) / 1e6,
        packages=PACKAGES,
        quantization=quantization,
        latencies_ms=latencies if recipe.precision in ("int8", "dynamic") else None,
    )


def _int8(task: Task, float_model: bytes, host: Preprocess) -> tuple[bytes, Quantization]:
    recipe, source = task.recipe, task.images.calibration
    assert source is not None
    method = recipe.method or PRESETS[task.family].method
    ranges = _ranges(task, float_model, host, method)
    ends: list[End] = []
    if recipe.io != "float":
        ranges = {**ranges, INPUT: PIXELS}
        ends = ["INPUT"] if recipe.layout == "frigate" else ["INPUT", "OUTPUT"]
    weighted = [layer.name for layer in tflite_layers(float_model) if layer.operator != PRODUCT]
    # the classifier's last product writes float logits, unless they are to be rounded anyway
    model = quantize_tflite(float_model, ranges, () if "OUTPUT" in ends else weighted[-1:], ends)
    if recipe.io == "uint8":
        model = with_uint8_ends(model)
    calibration = Calibration(source.source, len(source.images), method, recipe.seed, source.skipped)
    return model, _account("S8S8", model, calibration)


def _account(scheme: str, model: bytes, calibration: Calibration | None) -> Quantization:
    """Say what of a finished model is int8."""
    floating = tuple(layer.name for layer in tflite_layers(model) if not layer.int8)
    return Quantization(scheme, True, int8_share(model), floating, calibration)


def _ranges(task: Task, model: bytes, host: Preprocess, method: Method) -> Ranges:
    source, batch = task.images.calibration, task.recipe.batch
    assert source is not None
    count = -(-len(source.images) // batch)

    def compute() -> dict[str, tuple[float, float]]:
        return dict(
            calibrate_tflite(model, lambda: task.track(source.inputs(host, batch), "calibration", count), method)
        )

    key = content_key(model, source.digest(host), str(batch), method)
    return {name: (low, high) for name, (low, high) in cached("ranges", key, compute).items()}
