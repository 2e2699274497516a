"""Ranges of activations over calibration images, in constant memory."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

Ranges = Mapping[str, tuple[float, float]]
"""Tensor name to its smallest and largest value."""

_LOW, _HIGH = "__low", "__high"


def minmax_ranges(model: ModelProto, tensors: Iterable[str], batches: Iterable[NDArray[np.float32]]) -> Ranges:
    """Return the range of each tensor over all batches, each the model's input (B, 3, H, W).

    The graph itself reduces each tensor to two numbers, so memory does not grow with the number of images.
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


def _session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # fusions would make inner tensors disappear
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
