"""Prepared model to TFLite: convert, then half precision or int8, each step compared with PyTorch."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Input
from edgevit.export.report.comparison import SideBySide
from edgevit.export.report.measure import facts_of
from edgevit.export.stage import ConversionJob, ConvertedModel
from edgevit.export.tflite.artifact import artifact_bytes
from edgevit.export.tflite.convert import INPUT, convert
from edgevit.export.tflite.ends import with_class_numbers, with_uint8_probabilities
from edgevit.export.tflite.gelu import NOTE, with_tanh_gelu
from edgevit.export.tflite.graph import WEIGHTED
from edgevit.export.tflite.int8 import SUFFIX, TfliteInt8, account, float_layers, make_int8
from edgevit.export.tflite.latency import median_latencies_ms
from edgevit.export.tflite.layer_noise import tflite_layer_sqnr
from edgevit.export.tflite.quantize import quantize_dynamic, store_half_tflite
from edgevit.export.verify import check_numbers, run_file

PACKAGES = (
    "torch",
    "litert-torch",
    "litert-converter",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)


def make(task: ConversionJob) -> ConvertedModel:
    """Return the model as TFLite, as the recipe asks.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if a step does not agree with PyTorch.
    """
    recipe = task.recipe
    integer = recipe.io != "float"
    # integer inputs take raw pixels, so the graph itself normalizes them
    host = replace(task.preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) if integer else task.preprocessing

    def answers(model: bytes) -> NDArray[np.float32]:
        return run_file(model, SUFFIX, task.images.verification, host)

    float_model = convert(task.model, task.shape, task.preprocessing if integer else None)
    task.verify("conversion", answers(float_model))
    notes: tuple[str, ...] = ()
    if recipe.gelu == "tanh":
        float_model, notes = with_tanh_gelu(float_model), (NOTE,)
        # what the form changes is about what half precision does
        task.verify("tanh GELU", answers(float_model), "fp16")
    model, quantization, int8 = float_model, None, None
    if recipe.precision == "fp16":
        model = store_half_tflite(float_model)
    elif recipe.precision == "dynamic":
        model = quantize_dynamic(float_model)
        quantization = account("dynamic", model, None)
    elif recipe.precision == "int8":
        int8 = make_int8(task, float_model, host)
        model, quantization = int8.model, int8.quantization
    if recipe.precision != "fp32":
        task.verify(recipe.precision, answers(model), recipe.precision)
    outcome, logits_model = int8.outcome if int8 else None, model
    if recipe.layout == "frigate":
        model = with_uint8_probabilities(model)
    if recipe.argmax:
        logits, model = answers(model), with_class_numbers(model)
        check_numbers(logits, answers(model))

    def latencies() -> tuple[float, float]:
        plain, exported = median_latencies_ms([float_model, model])
        return plain, exported

    return ConvertedModel(
        content=model,
        seal=lambda manifest: artifact_bytes(model, manifest),
        input=Input(
            name=INPUT,
            shape=task.shape,
            dtype=recipe.io if integer else "float32",
            layout="NHWC",
            normalized_in_graph=integer,
        ),
        float_size_mb=len(float_model) / 1e6,
        packages=PACKAGES,
        quantization=quantization,
        outcome=outcome,
        latencies_ms=latencies if quantization else None,
        facts=lambda written: facts_of(task, written, _side_by_side(float_model, logits_model, int8), outcome),
        notes=notes,
    )


def _side_by_side(float_model: bytes, model: bytes, int8: TfliteInt8 | None) -> SideBySide:
    return SideBySide(
        suffix=SUFFIX,
        float_model=float_model,
        model=model,
        layers=float_layers(float_model),
        operators=WEIGHTED,
        noise=partial(tflite_layer_sqnr, float_model, model),
        # a search has measured whole blocks already
        only_int8=int8.quantizer.alone if int8 is not None and int8.outcome is None else None,
        kept_because="writes float logits: rounding them would cost more than it saves",
    )
