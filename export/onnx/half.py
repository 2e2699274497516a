"""Float graph to half the size: weights stored as float16, computed in float32.

A Cortex-A72 has no float16 arithmetic. ONNX Runtime widens the stored weights once, when it loads the file, so the
speed is that of float32 and only the rounding of the weights shows in the result.
"""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

MIN_ELEMENTS = 256
"""Smaller tensors (biases, norm scales) stay float32: rounding them saves nothing."""


def store_half(model: ModelProto) -> ModelProto:
    """Return the model with its large float32 weights stored as float16, each behind a Cast to float32.

    Weights beyond float16's range stay float32, and so do the scales of an int8 graph.
    """
    result = ModelProto()
    result.CopyFrom(model)
    quantizers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales = {node.input[1] for node in quantizers}
    casts = []
    for tensor in result.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name in scales:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < MIN_ELEMENTS or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name, stored = tensor.name, f"{tensor.name}_float16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}_widen", to=TensorProto.FLOAT))
    nodes = list(result.graph.node)
    del result.graph.node[:]
    result.graph.node.extend(casts + nodes)
    return result
