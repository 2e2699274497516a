"""What int8 does to each layer of an ONNX graph: the noise in its output."""

from collections.abc import Iterable

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgevit.export.onnx.graph import layers
from edgevit.runtime.evaluation.metrics import power_table, sqnr_db

ROUNDED = "_DequantizeLinear_Output"
"""What the quantizer adds to a tensor's name after having rounded it to int8."""


def layer_sqnr(
    float_graph: ModelProto, int8_graph: ModelProto, inputs: Iterable[NDArray[np.float32]]
) -> dict[str, float | None]:
    """Return the signal-to-quantization-noise ratio in dB of each layer's output, by the layer's name.

    The noise is all that has gathered up to there: from the layers before, from the layer's weights and, where its
    output is rounded, from that. Memory does not grow with the number of inputs. None: there is no noise.

    Args:
        float_graph: the simplified float model.
        int8_graph: what `quantize` made of it.
        inputs: (B, 3, H, W) each, read once.
    """
    every = layers(float_graph)
    names = [layer.output for layer in every]
    produced = {name for node in int8_graph.graph.node for name in node.output}
    rounded = [f"{name}{ROUNDED}" if f"{name}{ROUNDED}" in produced else name for name in names]
    exact, noisy = _session(with_outputs(float_graph, names)), _session(with_outputs(int8_graph, rounded))
    source = exact.get_inputs()[0].name
    powers = np.zeros((len(names), 2))
    for batch in inputs:
        pairs = zip(exact.run(names, {source: batch}), noisy.run(rounded, {source: batch}), strict=True)
        powers += [power_table(reference, found) for reference, found in pairs]
    return {layer.name: sqnr_db(power) for layer, power in zip(every, powers, strict=True)}


def with_outputs(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """Return the model with inner float tensors as further outputs."""
    result = ModelProto()
    result.CopyFrom(model)
    present = {output.name for output in result.graph.output}
    result.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in present
    )
    return result


def _session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # as in edgevit.runtime.backends.onnx
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
