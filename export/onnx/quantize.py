"""Float graph to int8 graph, in ONNX's QuantizeLinear/DequantizeLinear form.

Convolutions and products with constant weights become int8: weights int8 per output channel, activations uint8
(U8S8, which x86 and ARMv8.0 both have fast kernels for) unless the target asks for int8 (S8S8). GELU and HardSwish
between two of them become lookups. Everything else stays float: attention products, softmax, LayerNorm, divisions and
residual additions, where int8 costs accuracy and saves no time.
"""

import re
import tempfile
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edgevit.device_profiles.profile import Scheme
from edgevit.export.cache import content_key
from edgevit.export.layers import Layer
from edgevit.export.onnx.activation_lookup import use_lookups
from edgevit.export.onnx.graph import constants, layers
from edgevit.export.onnx.session import open_graph
from edgevit.export.quantization.calibrate import Ranges, without_zeroed
from edgevit.export.recipe import SUFFIXES

FORM = "2"
"""Version of what `quantize` makes of the same graph, ranges and scheme; part of the keys of cached measurements."""

ACTIVATIONS: dict[Scheme, QuantType] = {"U8S8": QuantType.QUInt8, "S8S8": QuantType.QInt8}
"""Scheme to the type of its activations; weights are int8 in both."""

OPERATORS = ("Conv", "Gemm", "MatMul")
FLOAT_OUTPUT = ("Gemm", "MatMul")
"""These write float directly from their int8 product; rounding their output to int8 as well would cost accuracy."""

INT8_OPERATORS = {"QLinearConv", "ConvInteger", "QLinearMatMul", "QGemm", "MatMulInteger", "MatMulIntegerToFloat"}
"""What ONNX Runtime turns a quantized layer into."""


@dataclass(frozen=True)
class Preset:
    """What stays float in a family's models."""

    float_heads: int = 0
    """How many of the last products (the classifier's) stay float."""
    float_stem: int = 0
    """How many of the first convolutions stay float."""
    float_weights: tuple[str, ...] = ()
    """Endings of the names of constants whose products stay float."""


PRESETS = {
    "sbcformer": Preset(float_stem=1),
    "efficientvit": Preset(float_stem=5),
    "fastervit": Preset(float_stem=2),
    **dict.fromkeys(("deit", "pvt", "nextvit"), Preset(float_stem=1)),
    **dict.fromkeys(
        ("deit_hmhsa", "pvt_hmhsa", "nextvit_hmhsa"),
        Preset(float_stem=1, float_weights=(".kernels", ".mixing")),
    ),
    **dict.fromkeys(
        ("efficientvit_det", "sbcformer_det", "sbcformer_retinanet", "yolox"),
        Preset(float_stem=1),
    ),
    "efficientvit_seg": Preset(float_stem=5, float_heads=1, float_weights=(".upsample_rows", ".upsample_columns")),
}
"""The first layers work on large images with few channels: int8 saves least there, and costs most accuracy.

In EfficientViT they are the stem and the first expansion, whose Hardswish has no int8 kernel. Its detectors lose
nothing by that: efficientvit_b0_det, trained on BCCD for 18 epochs at 256x320, has a test AP of 51.0 in float, 51.0
with one float layer, and 50.7 with five, which cost 10 % more time on a Raspberry Pi 4 (estimated).
"""


def preset_layers(model: ModelProto, preset: Preset) -> frozenset[str]:
    """Return the names of the layers that stay float: the preset's, and those that int8 does not exist for."""
    every = layers(model)
    weighted = [layer for layer in every if layer.weight is not None]
    kept = {layer.name for layer in every if layer.weight is None or layer.operator not in OPERATORS}
    kept |= {layer.name for layer in weighted[: preset.float_stem]}
    kept |= {layer.name for layer in weighted if str(layer.weight).endswith(preset.float_weights)}
    return frozenset(kept | {layer.name for layer in weighted[len(weighted) - preset.float_heads :]})


def calibrated_tensors(model: ModelProto) -> tuple[str, ...]:
    """Return the names of all activations whose range may be needed, whatever stays float."""
    fixed = constants(model)
    # the quantizer moves a layer's output range behind the ReLU or Clip that follows
    operators = (*OPERATORS, "Relu", "Clip")
    names = {
        name for node in model.graph.node if node.op_type in operators for name in (*node.input, *node.output) if name
    }
    return tuple(sorted(names - fixed))


def quantize(model: ModelProto, keep_float: Iterable[str], ranges: Ranges, scheme: Scheme = "U8S8") -> ModelProto:
    """Return the int8 model: quantize/dequantize pairs around its layers, and lookups between them.

    Args:
        model: float32, simplified.
        keep_float: names of nodes that stay float.
        ranges: of `calibrated_tensors(model)`.
        scheme: 8-bit types of activations and weights.
    """
    result = use_lookups(with_pairs(model, keep_float, ranges, scheme))
    onnx.checker.check_model(result)
    return result


def with_pairs(model: ModelProto, keep_float: Iterable[str], ranges: Ranges, scheme: Scheme = "U8S8") -> ModelProto:
    """Return the model with quantize/dequantize pairs around the layers that are to be int8; see `quantize`."""
    copy = ModelProto()
    copy.CopyFrom(model)
    ranges = without_zeroed(ranges, _read_by(model, "HardSwish"))
    quantizer = QDQQuantizer(
        onnx.shape_inference.infer_shapes(copy),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=ACTIVATIONS[scheme],
        tensors_range=TensorsData(
            CalibrationMethod.MinMax,
            {name: (np.array(low, np.float32), np.array(high, np.float32)) for name, (low, high) in ranges.items()},
        ),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(keep_float),
        op_types_to_quantize=list(OPERATORS),
        extra_options={"OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUT)},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result = quantizer.model.model
    assert isinstance(result, ModelProto)
    return result


def _read_by(model: ModelProto, operator: str) -> set[str]:
    """Return the names of the tensors that only this operator reads."""
    readers: dict[str, set[str]] = {output.name: {""} for output in model.graph.output}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    return {name for name, kinds in readers.items() if kinds == {operator}}


def float_layers(every: Iterable[Layer], quantized: ModelProto) -> tuple[str, ...]:
    """Return the names of those layers of a float model that ONNX Runtime computes in float, in their order.

    Looked up in the graph that the runtime really executes, after its own fusions, so that a layer whose
    quantize/dequantize pairs were not fused into an int8 kernel counts as float.
    """
    int8_weights = {
        found[1]
        for node in executed_graph(quantized).graph.node
        if node.op_type in INT8_OPERATORS
        for name in node.input
        if (found := _INT8_WEIGHTS.fullmatch(name))
    }
    return tuple(layer.name for layer in every if layer.weight not in int8_weights)


_INT8_WEIGHTS = re.compile(r"(.*)_quantized(?:_s8_2_u8)?")
"""What the quantizer calls the 8-bit form of weights, and ONNX Runtime their unsigned form on x86 without VNNI."""


def executed_graph(model: ModelProto) -> ModelProto:
    """Return the graph that ONNX Runtime executes, after its own fusions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        open_graph(model.SerializeToString(), level=level, optimized=path)
        return onnx.load(path)


@dataclass(frozen=True)
class OnnxQuantizer:
    """Makes int8 graphs of one float graph; see edgevit.export.quantization.search.Quantizer."""

    graph: ModelProto
    ranges: Ranges
    """Ranges of `calibrated_tensors(graph)`."""
    scheme: Scheme = "U8S8"
    preset: Preset = Preset()
    suffix: str = SUFFIXES["onnx"]

    @cached_property
    def identity(self) -> str:
        return content_key(self.graph.SerializeToString(), repr(sorted(self.ranges.items())), self.scheme, FORM)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layers(self.graph))

    @property
    def kept(self) -> frozenset[str]:
        return preset_layers(self.graph, self.preset)

    def make(self, keep_float: Set[str]) -> bytes:
        return bytes(quantize(self.graph, keep_float, self.ranges, self.scheme).SerializeToString())

    def alone(self, name: str) -> bytes:
        return self.make({layer.name for layer in self.layers} - {name})

    def float_layers(self, model: bytes) -> tuple[str, ...]:
        return float_layers(self.layers, ModelProto.FromString(model))
