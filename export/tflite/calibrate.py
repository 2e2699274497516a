"""Ranges of a TFLite model's activations over calibration images, in constant memory.

The quantizer's own calibrator takes a moving average of each image's extremes, which clips what later images need:
10 dB of signal-to-noise ratio on a trained sbcformer_xs.
"""

import numpy as np

from edgevit.export.quantization.calibrate import Batches, Ranges, percentile_ranges
from edgevit.export.recipe import Method
from edgevit.export.tflite.observe import Observed
from edgevit.export.tflite_graph.graph import WEIGHTED, opened, operators


def calibrate(model: bytes, batches: Batches, method: Method = "minmax") -> Ranges:
    """Return the range of each tensor that an int8 operator may read or write.

    Args:
        model: a float model that takes (B, H, W, 3).
        batches: inputs (B, 3, H, W); gone through once for "minmax", twice for "percentile".
        method: see `edgevit.export.onnx.calibrate.calibrate`.
    """
    observed = Observed(model, _tensors_of_interest(model))
    extremes: dict[str, tuple[float, float]] = {}
    for values in observed.run(batches()):
        for name, value in values:
            low, high = extremes.get(name, (np.inf, -np.inf))
            extremes[name] = min(low, float(value.min())), max(high, float(value.max()))
    return extremes if method == "minmax" else percentile_ranges(extremes, observed.run(batches()))


def _tensors_of_interest(model: bytes) -> list[str]:
    """Return the names of the model's ends and of what int8 operators would read and write."""
    tree = opened(model)
    graph = tree.subgraphs[0]
    wanted = set(graph.inputs) | set(graph.outputs)
    for name, item in operators(tree):
        if name in (*WEIGHTED, "PAD"):
            wanted |= {item.inputs[0], *item.outputs}
    sums = {item.outputs[0] for name, item in operators(tree) if name == "ADD"}
    for name, item in operators(tree):
        if name == "MUL":
            # a gate, which a rewrite may make int8
            wanted |= sums & set(item.inputs)
    return [graph.tensors[index].name.decode() for index in sorted(wanted)]
