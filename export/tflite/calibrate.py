"""Ranges of a TFLite model's activations over calibration images, in constant memory.

The quantizer's own calibrator takes a moving average of each image's extremes, which clips what later images need:
10 dB of signal-to-noise ratio on a trained sbcformer_xs.
"""

import numpy as np

from edgevit.export.quantization.calibrate import BINS, Batches, Ranges, entropy_range, mse_range, percentile_range
from edgevit.export.recipe import Method
from edgevit.export.tflite.graph import WEIGHTED, opened, operators
from edgevit.export.tflite.observe import Observed

SEARCHES = {"percentile": percentile_range, "entropy": entropy_range, "mse": mse_range}


def calibrate_tflite(model: bytes, batches: Batches, method: Method = "minmax") -> Ranges:
    """Return the range of each tensor that an int8 operator may read or write.

    Args:
        model: a float model that takes (B, H, W, 3).
        batches: inputs (B, 3, H, W); gone through once for "minmax", twice for the other methods.
        method: see `edgevit.export.onnx.calibrate.calibrate`.
    """
    observed = Observed(model, _tensors_of_interest(model))
    extremes: dict[str, tuple[float, float]] = {}
    for values in observed.run(batches()):
        for name, value in values:
            low, high = extremes.get(name, (np.inf, -np.inf))
            extremes[name] = min(low, float(value.min())), max(high, float(value.max()))
    if method == "minmax":
        return extremes
    counts = {name: np.zeros(BINS, np.int64) for name in extremes}
    for values in observed.run(batches()):
        for name, value in values:
            low, high = extremes[name]
            width = max(high - low, float(np.finfo(np.float32).tiny)) / BINS
            place = np.clip((value.ravel() - low) / width, 0, BINS - 1).astype(np.int64)
            counts[name] += np.bincount(place, minlength=BINS)
    return {name: SEARCHES[method](counts[name], *extremes[name]) for name in extremes}


def _tensors_of_interest(model: bytes) -> list[str]:
    """Return the names of the model's ends and of what int8 operators would read and write."""
    tree = opened(model)
    graph = tree.subgraphs[0]
    wanted = set(graph.inputs) | set(graph.outputs)
    for name, item in operators(tree):
        if name in (*WEIGHTED, "PAD"):
            wanted |= {item.inputs[0], *item.outputs}
    return [graph.tensors[index].name.decode() for index in sorted(wanted)]
