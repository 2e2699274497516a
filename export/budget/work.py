"""What a model's operators would take at an input size, in each format and precision, before any file is finished."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgevit.export.estimate.estimate import count_work
from edgevit.export.extras import import_module
from edgevit.export.recipe import SUFFIXES, Format
from edgevit.export.tasks.rules import rules_of
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.sizes import SizedWork
from edgevit.models.zoo.spec import ModelSpec

OPSET = 20
PRECISIONS = ("fp32", "int8")
"""Those that take different times: half precision is stored only."""


def sized_works(
    spec: ModelSpec, model: nn.Module, size: tuple[int, int], formats: Collection[Format], precisions: Collection[str]
) -> Iterator[SizedWork]:
    """Yield what a model takes; int8 is calibrated with noise, as operators do not depend on ranges.

    Args:
        spec: the model's description.
        model: in eval mode, with any weights; it is changed into the form that is exported.
        size: (height, width) of the input in pixels.
        formats: which are wanted.
        precisions: which of PRECISIONS are wanted.

    Raises:
        MissingExtraError: a package that writes a format is not installed.
        EdgevitError: the model cannot be written in a format.
    """
    prepare_for_export(model)
    for form in formats:
        for precision, content in _MAKERS[form](spec, model, size, precisions):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"model{SUFFIXES[form]}"
                path.write_bytes(content)
                yield SizedWork(size, form, precision, *count_work(path))


def _noise(size: tuple[int, int]) -> list[NDArray[np.float32]]:
    return [np.random.default_rng(seed).standard_normal((1, 3, *size), np.float32) for seed in range(2)]


def _outputs(spec: ModelSpec) -> tuple[str, ...]:
    return tuple(rules_of(spec).form(spec, spec.preprocess).outputs)


def _as_onnx(
    spec: ModelSpec, model: nn.Module, size: tuple[int, int], precisions: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    from edgevit.export.onnx.calibrate import calibrate
    from edgevit.export.onnx.quantize import PRESETS, OnnxQuantizer, calibrated_tensors
    from edgevit.export.onnx.simplify import simplify
    from edgevit.export.onnx.trace import trace

    graph = simplify(trace(model, (1, 3, *size), OPSET, _outputs(spec)))
    if "fp32" in precisions:
        yield "fp32", graph.SerializeToString()
    if "int8" in precisions:
        ranges = calibrate(graph, calibrated_tensors(graph), partial(_noise, size))
        quantizer = OnnxQuantizer(graph, ranges, preset=PRESETS[spec.family.name])
        yield "int8", quantizer.make(quantizer.kept)


def _as_tflite(
    spec: ModelSpec, model: nn.Module, size: tuple[int, int], precisions: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    convert = import_module("edgevit.export.tflite.convert")
    calibrate = import_module("edgevit.export.tflite.calibrate")
    quantize = import_module("edgevit.export.tflite.quantize")
    passes = import_module("edgevit.export.tflite_graph.passes")

    content: bytes = convert.convert(model, (1, 3, *size), None, _outputs(spec))
    if "fp32" in precisions:
        yield "fp32", content
    if "int8" in precisions:
        ranges = calibrate.calibrate(content, partial(_noise, size))
        quantizer = quantize.TfliteQuantizer(content, ranges, float_heads=0 if spec.family.boxes is None else 1)
        made: bytes = quantizer.make(quantizer.kept)
        for step in passes.rewrites(ranges):
            made = step.apply(made)
        yield "int8", made


_MAKERS: dict[Format, Callable[..., Iterator[tuple[str, bytes]]]] = {"onnx": _as_onnx, "tflite": _as_tflite}
