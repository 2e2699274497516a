"""What int8 does to each layer of a TFLite model: the noise in its output."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevit.export.tflite.observe import Observed
from edgevit.export.tflite_graph.graph import layers
from edgevit.runtime.evaluation.metrics import power_table, sqnr_db


def layer_sqnr(float_model: bytes, model: bytes, inputs: Sequence[NDArray[np.float32]]) -> dict[str, float | None]:
    """Return the signal-to-quantization-noise ratio in dB of each layer's output, by the layer's name.

    As `edgevit.export.onnx.layer_noise.layer_sqnr`; computed by the interpreter's plain kernels, whose int8 results may
    differ by a rounding from XNNPACK's.

    Args:
        float_model: converted.
        model: what was quantized from it, under the same names.
        inputs: (B, 3, H, W) each, read twice.
    """
    names = [layer.name for layer in layers(float_model)]
    powers = np.zeros((len(names), 2))
    pairs = zip(Observed(float_model, names).run(inputs), Observed(model, names).run(inputs), strict=True)
    for exact, noisy in pairs:
        powers += [power_table(one, other) for (_, one), (_, other) in zip(exact, noisy, strict=True)]
    return {name: sqnr_db(power) for name, power in zip(names, powers, strict=True)}
