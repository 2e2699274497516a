"""Ranges of an ONNX graph's activations over calibration images, in constant memory."""

from collections.abc import Iterable, Iterator

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgevit.export.onnx.graph import with_outputs
from edgevit.export.onnx.session import open_graph
from edgevit.export.quantization.calibrate import Batches, Ranges, Values, percentile_ranges
from edgevit.export.recipe import Method

_LOW, _HIGH = "__low", "__high"


def calibrate(model: ModelProto, tensors: Iterable[str], batches: Batches, method: Method = "minmax") -> Ranges:
    """Return the range of each tensor of a float graph over all batches.

    Args:
        model: float32, with one input.
        tensors: names of float32 tensors in it.
        batches: the calibration inputs; gone through once for "minmax", twice for "percentile".
        method: "minmax" takes the extremes; "percentile" cuts TAIL of the values off at each end.
    """
    extremes = minmax_ranges(model, tensors, batches())
    return extremes if method == "minmax" else percentile_ranges(extremes, _values(model, extremes, batches()))


def minmax_ranges(model: ModelProto, tensors: Iterable[str], batches: Iterable[NDArray[np.float32]]) -> Ranges:
    """Return the smallest and largest value of each tensor over all batches.

    The graph itself reduces each tensor to two numbers, so nothing large leaves it.
    """
    tensors = list(dict.fromkeys(tensors))
    session = _session(with_extremes(model, tensors))
    source = session.get_inputs()[0].name
    outputs = [f"{name}{end}" for name in tensors for end in (_LOW, _HIGH)]
    low = np.full(len(tensors), np.inf)
    high = np.full(len(tensors), -np.inf)
    for batch in batches:
        extremes = np.array(session.run(outputs, {source: batch}), np.float64).reshape(-1, 2)
        low, high = np.minimum(low, extremes[:, 0]), np.maximum(high, extremes[:, 1])
    return {name: (float(lo), float(hi)) for name, lo, hi in zip(tensors, low, high, strict=True)}


def with_extremes(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """Return the model with each tensor's minimum and maximum as further outputs: tensor__low, tensor__high."""
    result = ModelProto()
    result.CopyFrom(model)
    for name in tensors:
        for end, reduction in ((_LOW, "ReduceMin"), (_HIGH, "ReduceMax")):
            result.graph.node.append(helper.make_node(reduction, [name], [f"{name}{end}"], keepdims=0))
            result.graph.output.append(helper.make_tensor_value_info(f"{name}{end}", TensorProto.FLOAT, ()))
    return result


def _values(model: ModelProto, tensors: Iterable[str], batches: Iterable[NDArray[np.float32]]) -> Iterator[Values]:
    session = _session(with_outputs(model, tensors))
    source = session.get_inputs()[0].name
    inner = [name for name in tensors if name != source]
    for batch in batches:
        found = zip([source, *inner], [batch, *session.run(inner, {source: batch})], strict=True)
        yield [(name, value) for name, value in found if name in tensors]


def _session(model: ModelProto) -> ort.InferenceSession:
    # fusions would make inner tensors disappear
    return open_graph(model.SerializeToString(), level=ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)
