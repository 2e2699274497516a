"""A classifier of colours that needs no training: what is the nearest of the corners of the colour cube."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CORNERS = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], np.float32)
"""The eight classes: black, blue, green, cyan, red, magenta, yellow and white, as RGB in 0..1."""


def write_teacher(path: Path, sharpness: float = 40.0, side: int = 16) -> Path:
    """Write an ONNX file that maps RGB in 0..1 (B, 3, side, side) to -sharpness/2 |mean - corner|^2, up to a constant.

    A side of 0 stands for any.
    """
    weight, bias = sharpness * CORNERS.T, -sharpness / 2 * (CORNERS**2).sum(1)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side or "height", side or "width"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CORNERS)])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
