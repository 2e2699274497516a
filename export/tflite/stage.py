"""Prepared model to TFLite: convert, then half precision or int8 and its rewrites, each step compared with PyTorch."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Input, Quantization
from edgevit.export.layers import int8_share
from edgevit.export.quantization.calibrate import Ranges
from edgevit.export.quantization.int8 import make_int8
from edgevit.export.recipe import SUFFIXES
from edgevit.export.result import Comparison, ConvertedModel
from edgevit.export.stage import ConversionJob
from edgevit.export.tflite.artifact import artifact_bytes
from edgevit.export.tflite.calibrate import calibrate
from edgevit.export.tflite.convert import INPUT, convert
from edgevit.export.tflite.ends import with_class_numbers, with_uint8_ends, with_uint8_probabilities
from edgevit.export.tflite.gelu import NOTE, with_tanh_gelu
from edgevit.export.tflite.layer_noise import layer_sqnr
from edgevit.export.tflite.quantize import End, TfliteQuantizer, quantize_dynamic, store_half
from edgevit.export.tflite_graph.graph import WEIGHTED, float_layers, layers
from edgevit.export.tflite_graph.passes import rewrite, rewrites
from edgevit.export.verify import check_numbers, run_file

SUFFIX = SUFFIXES["tflite"]
PACKAGES = (
    "torch",
    "litert-torch",
    "litert-converter",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)
PIXELS = (0.0, 1.0)
"""Range of an integer input: its 256 levels are those of a pixel."""


def make(job: ConversionJob) -> ConvertedModel:
    """Return the model as TFLite, as the recipe asks.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if a step does not agree with PyTorch.
    """
    recipe = job.recipe
    integer = recipe.io != "float"
    # integer inputs take raw pixels, so the graph itself normalizes them
    host = replace(job.preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) if integer else job.preprocessing

    def answers(model: bytes) -> NDArray[np.float32]:
        return run_file(model, SUFFIX, job.images.verification, host)

    float_model = convert(job.model, job.shape, job.preprocessing if integer else None, job.form.outputs)
    job.verify("conversion", answers(float_model))
    notes: tuple[str, ...] = ()
    if recipe.gelu == "tanh":
        float_model, notes = with_tanh_gelu(float_model), (NOTE,)
        # what the form changes is about what half precision does
        job.verify("tanh GELU", answers(float_model), "fp16")
    every = tuple(layers(float_model))
    model, quantization, int8 = float_model, None, None
    if recipe.precision == "fp16":
        model = store_half(float_model)
    elif recipe.precision == "dynamic":
        model = quantize_dynamic(float_model)
        quantization = Quantization("dynamic", int8_share(every, float_layers(model)), float_layers(model))
    elif recipe.precision == "int8":
        int8 = make_int8(job, float_model, host, partial(calibrate, float_model), partial(_quantizer, job, float_model))
        model, quantization = int8.content, int8.quantization
        if recipe.io == "uint8":
            model = with_uint8_ends(model)
    if recipe.precision != "fp32":
        judged = int8 is not None and int8.judged
        job.verify(recipe.precision, answers(model), recipe.precision, judged=judged)
    plain = model
    if int8 is not None:
        steps = rewrites(int8.ranges)
        model, left_out = rewrite(model, steps, answers, job.verify, exact_only=recipe.max_drop is not None)
        notes += left_out
    scoring = model
    if recipe.layout == "frigate":
        model = with_uint8_probabilities(model)
    if recipe.argmax:
        logits, model = answers(model), with_class_numbers(model)
        check_numbers(logits, answers(model))

    return ConvertedModel(
        content=model,
        seal=artifact_bytes,
        input=Input(
            name=INPUT,
            shape=job.shape,
            dtype=recipe.io if integer else "float32",
            layout="NHWC",
            color=job.preprocessing.channels,
            normalized_in_graph=integer,
        ),
        boxes=job.boxes,
        packages=PACKAGES,
        comparison=Comparison(
            suffix=SUFFIX,
            float_model=float_model,
            model=scoring,
            layers=every,
            operators=WEIGHTED,
            # rewrites leave no tensor of some layers
            noise=partial(layer_sqnr, float_model, plain),
            form=job.form,
            # a search has measured whole blocks already
            only_int8=int8.quantizer.alone if int8 and int8.outcome is None else None,
            kept_because="writes float logits: rounding them would cost more than it saves",
        ),
        quantization=quantization,
        outcome=int8.outcome if int8 else None,
        notes=notes,
    )


def _quantizer(job: ConversionJob, model: bytes, ranges: Ranges) -> TfliteQuantizer:
    # each level of a detector has predictions of its own scale, which are joined in float
    float_heads = 1 if job.boxes is None else 0
    if job.recipe.io == "float":
        return TfliteQuantizer(model, ranges, float_heads=float_heads)
    # logits that become something else in the graph need no rounding first, and raw boxes would suffer from it
    rounded = job.recipe.layout == "file" and not job.recipe.argmax and job.boxes is None
    ends: tuple[End, ...] = ("INPUT", "OUTPUT") if rounded else ("INPUT",)
    return TfliteQuantizer(model, {**ranges, INPUT: PIXELS}, ends, float_heads)
