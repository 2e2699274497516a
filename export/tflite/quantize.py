"""Float TFLite model to int8, dynamic-range int8, or half-precision storage, by ai-edge-quantizer.

int8 takes convolutions, fully connected layers and padding, weights one scale for each output channel. Attention
products, softmax, GELU, LayerNorm, divisions and residual additions stay float: there int8 costs accuracy and, since
XNNPACK has no int8 kernels for most of them, time.
"""

import contextlib
import io
import logging
import re
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName

from edgevit.export.cache import content_key
from edgevit.export.layers import Layer
from edgevit.export.quantization.calibrate import Ranges, without_zeroed
from edgevit.export.recipe import SUFFIXES
from edgevit.export.tflite_graph.graph import (
    WEIGHTED,
    disguised_products,
    float_layers,
    layers,
    opened,
    operators,
    packed,
)

OPERATORS = (*WEIGHTED, "PAD")
FORM = "3"
"""Version of what `quantize` makes of the same model and ranges; part of the keys of cached measurements."""
End = Literal["INPUT", "OUTPUT"]


def quantize(
    model: bytes,
    ranges: Ranges,
    keep_float: Collection[str] = (),
    ends: Iterable[End] = (),
    *,
    float_weights: bool = False,
) -> bytes:
    """Return the model with int8 operators wherever it is worth it.

    Args:
        model: float32.
        ranges: of the tensors that `calibrate` looks at.
        keep_float: names of layers that compute in float, on inputs that are not rounded.
        ends: what of the model's input and output is int8 too.
        float_weights: store the weights of the layers in `keep_float` in float; otherwise those of the fully connected
            ones are stored in int8, which costs only their rounding.
    """
    tree = opened(model)
    ranks = {tensor.name.decode(): len(tensor.shape) for tensor in tree.subgraphs[0].tensors}
    statistics = {
        name: {"min": np.full([1] * ranks[name], low, np.float32), "max": np.full([1] * ranks[name], high, np.float32)}
        for name, (low, high) in without_zeroed(ranges, _read_by(tree, "HARD_SWISH")).items()
    }
    made = quantizer.Quantizer(model)
    for operator in (*OPERATORS, *ends):
        made.add_static_config(".*", qtyping.TFLOperationName[operator], 8, 8)
    floated = WEIGHTED if float_weights else ("CONV_2D", "DEPTHWISE_CONV_2D")
    for name in keep_float:
        only = f"^{re.escape(name)};$"
        for operator in floated:
            _leave_float(made, only, operator)
        if not float_weights:
            made.add_weight_only_config(only, qtyping.TFLOperationName.FULLY_CONNECTED, 8)
    for name in _paddings_before(tree, set(keep_float)):
        _leave_float(made, f"^{re.escape(name)};$", "PAD")
    _leave_products_float(made, tree)
    return _quantized(made, statistics)


def _leave_float(made: quantizer.Quantizer, only: str, operator: str) -> None:
    made.update_quantization_recipe(only, qtyping.TFLOperationName[operator], algorithm_key=AlgorithmName.NO_QUANTIZE)


def _leave_products_float(made: quantizer.Quantizer, tree: Any) -> None:
    for name in disguised_products(tree):
        _leave_float(made, f"^{re.escape(name)};$", "FULLY_CONNECTED")


def _read_by(tree: Any, operator: str) -> set[str]:
    """Return the names of the tensors that only this operator reads."""
    graph = tree.subgraphs[0]
    readers: dict[int, set[str]] = {index: {""} for index in graph.outputs}
    for kind, item in operators(tree):
        for index in item.inputs:
            readers.setdefault(index, set()).add(kind)
    found = [index for index, kinds in readers.items() if kinds == {operator}]
    return {graph.tensors[index].name.decode() for index in found}


def _paddings_before(tree: Any, layers: Set[str]) -> list[str]:
    """Return the names of the paddings that only these layers read."""
    names = [tensor.name.decode() for tensor in tree.subgraphs[0].tensors]
    every = operators(tree)
    readers: dict[int, set[str]] = {}
    for _, item in every:
        for index in item.inputs:
            readers.setdefault(index, set()).add(names[item.outputs[0]])
    paddings = [item.outputs[0] for kind, item in every if kind == "PAD"]
    return [names[index] for index in paddings if readers.get(index, set()) <= layers]


def quantize_dynamic(model: bytes) -> bytes:
    """Return the model with int8 weights, whose activations the runtime rounds image by image: no calibration.

    tflite-runtime 2.14 computes such files wrongly.
    """
    made = quantizer.Quantizer(model)
    for operator in WEIGHTED:
        made.add_dynamic_config(".*", qtyping.TFLOperationName[operator], 8)
    _leave_products_float(made, opened(model))
    return _quantized(made, None)


def store_half(model: bytes) -> bytes:
    """Return the model with weights stored as float16, widened when the file is loaded."""
    made = quantizer.Quantizer(model)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    for operator in WEIGHTED:
        made.update_quantization_recipe(".*", qtyping.TFLOperationName[operator], config, AlgorithmName.FLOAT_CASTING)
    _leave_products_float(made, opened(model))
    return _quantized(made, None)


def _quantized(made: quantizer.Quantizer, statistics: dict[str, qtyping.QSV] | None) -> bytes:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = made.quantize(statistics, enable_progress_report=False, enable_progress_bar=False)
    finally:
        logging.disable(level)
    assert result.quantized_model is not None
    # the quantizer puts weights behind the FlatBuffer, which not every reader follows; this takes them back into it
    return packed(opened(bytes(result.quantized_model)))


@dataclass(frozen=True)
class TfliteQuantizer:
    """Makes int8 models of one float model; see edgevit.export.quantization.search.Quantizer."""

    model: bytes
    ranges: Ranges
    """Ranges of the tensors that `calibrate` looks at."""
    ends: tuple[End, ...] = ()
    """What of the input and output is int8."""
    float_heads: int = 1
    """How many of the last products write float answers, unless these are to be rounded."""
    suffix: str = SUFFIXES["tflite"]
    scheme: str = "S8S8"

    @cached_property
    def identity(self) -> str:
        return content_key(self.model, repr(sorted(self.ranges.items())), repr(self.ends), FORM)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layers(self.model))

    @property
    def kept(self) -> frozenset[str]:
        """Names of the layers that stay float."""
        weighted = [layer.name for layer in self.layers if layer.weight is not None]
        return frozenset(() if "OUTPUT" in self.ends else weighted[len(weighted) - self.float_heads :])

    def make(self, keep_float: Set[str]) -> bytes:
        return quantize(self.model, self.ranges, sorted(keep_float), self.ends)

    def alone(self, name: str) -> bytes:
        """Return the model in which the named layer is int8 and nothing else, not even stored weights."""
        others = sorted({layer.name for layer in self.layers} - {name})
        return quantize(self.model, self.ranges, others, float_weights=True)

    def float_layers(self, model: bytes) -> tuple[str, ...]:
        return float_layers(model)
