"""Ranges of an ONNX graph's activations over calibration images, in constant memory."""

from collections.abc import Iterable

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgevit.export.quantization.calibrate import BINS, Batches, Ranges, entropy_range, mse_range, percentile_range
from edgevit.export.recipe import Method

_LOW, _HIGH = "__low", "__high"


def calibrate(model: ModelProto, tensors: Iterable[str], batches: Batches, method: Method = "minmax") -> Ranges:
    """Return the range of each tensor of a float graph over all batches.

    Args:
        model: float32, with one input.
        tensors: names of float32 tensors in it.
        batches: the calibration inputs; gone through once for "minmax", twice for the other methods.
        method: "minmax" takes the extremes; "percentile" cuts TAIL of the values off at each end; "entropy" and "mse"
            shrink the extremes until the int8 values lose least, by Kullback-Leibler divergence or squared error.
    """
    tensors = list(dict.fromkeys(tensors))
    extremes = minmax_ranges(model, tensors, batches())
    if method == "minmax":
        return extremes
    choose = {"percentile": percentile_range, "entropy": entropy_range, "mse": mse_range}[method]
    histograms = _histograms(model, extremes, batches())
    return {name: choose(histograms[name], *extremes[name]) for name in tensors}


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


def _histograms(
    model: ModelProto, extremes: Ranges, batches: Iterable[NDArray[np.float32]]
) -> dict[str, NDArray[np.int64]]:
    """Return how often each tensor's values fall into each of BINS equal parts of its range."""
    session = _session(with_outputs(model, extremes))
    source = session.get_inputs()[0].name
    inner = [name for name in extremes if name != source]
    counts = {name: np.zeros(BINS, np.int64) for name in extremes}
    for batch in batches:
        for name, values in zip([source, *inner], [batch, *session.run(inner, {source: batch})], strict=True):
            if name in counts:
                low, high = extremes[name]
                width = max(high - low, float(np.finfo(np.float32).tiny)) / BINS
                place = np.clip((values.ravel() - low) / width, 0, BINS - 1).astype(np.int64)
                counts[name] += np.bincount(place, minlength=BINS)
    return counts


def with_outputs(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """Return the model with inner float32 tensors as further outputs, under their own names."""
    result = ModelProto()
    result.CopyFrom(model)
    known = {value.name for value in (*result.graph.input, *result.graph.output)}
    for name in tensors:
        if name not in known:
            result.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return result


def _session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # fusions would make inner tensors disappear
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
