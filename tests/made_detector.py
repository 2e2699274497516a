"""A tiny detection model whose boxes are known by arithmetic, and pictures to ask it about.

It finds squares of 32 x 32 pixels of its input whose corners lie on multiples of 32 (the cells of its coarsest level),
red, green or blue ones: each gives one box, which is the square itself. Of the finer levels nothing is ever found.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import BoxOutput, Input, Manifest, Preprocess, Weights

SIZE = (64, 96)
"""(height, width) of the model's input: two rows of three squares."""
CELL = 32
STRIDES = (8, 16, 32)
COARSE = (SIZE[0] // CELL) * (SIZE[1] // CELL)
FINE = sum((SIZE[0] // stride) * (SIZE[1] // stride) for stride in STRIDES[:-1])
LABELS = ("red", "green", "blue")
RGB = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}
GREY = 114
OBJECTNESS = 8.0
PREPROCESS = Preprocess(
    size=SIZE,
    interpolation="bilinear",
    crop_pct=1.0,
    crop_mode="letterbox",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)
BOXES = BoxOutput(decode="yolox", strides=STRIDES, boxes="boxes", scores="scores", objectness="objectness")
MANIFEST = Manifest(
    model="squares",
    task="detect",
    input=Input(name="image", shape=(1, 3, *SIZE)),
    preprocess=PREPROCESS,
    labels=LABELS,
    weights=Weights(source="arithmetic", sha256="0" * 63 + "1", license="Apache-2.0", trained=True),
    precision="fp32",
    target="generic",
    tools={"edgevit": "0.1.0"},
    boxes=BOXES,
)


def squares_graph(batch: int = 1) -> onnx.ModelProto:
    """Return a graph with the outputs boxes (B, N, 4), objectness (B, N, 1) and scores (B, N, 3), N = 126.

    The logit of a colour in a cell is 4 * its mean - 2 * (the means of the two others) - 4, of normalized pixels: 6.2
    for a square of RGB, -4 for grey. Raw boxes are (.5, .5, 0, 0): the cell itself.
    """
    fine = np.full((batch, FINE, 1), -OBJECTNESS, np.float32)
    coarse = np.full((batch, COARSE, 1), OBJECTNESS, np.float32)
    raw = np.tile(np.array([0.5, 0.5, 0, 0], np.float32), (batch, FINE + COARSE, 1))
    mixing = (6 * np.eye(3, dtype=np.float32) - 2).reshape(3, 3, 1, 1)
    constants: dict[str, NDArray[Any]] = {
        "mixing": mixing,
        "bias": np.full(3, -4, np.float32),
        "flat": np.array([batch, 3, COARSE], np.int64),
        "absent": np.full((batch, FINE, 3), -OBJECTNESS, np.float32),
        "objectness_values": np.concatenate([fine, coarse], axis=1),
        "box_values": raw,
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["cells", "mixing", "bias"], ["colours"]),
        helper.make_node("Reshape", ["colours", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["places"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["absent", "places"], ["scores"], axis=1),
        helper.make_node("Identity", ["objectness_values"], ["objectness"]),
        helper.make_node("Identity", ["box_values"], ["boxes"]),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, FINE + COARSE, side))
        for name, side in (("boxes", 4), ("objectness", 1), ("scores", 3))
    ]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (batch, 3, *SIZE))],
        outputs,
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def scene(*squares: tuple[str, int, int], scale: int = 2, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return a grey picture, `scale` times the size of the input, with squares on it.

    Args:
        squares: colour, row and column of each, in squares from the upper left.
        scale: how many pixels of the picture one of the input is; the square at row r and column c is the box
            (32 c, 32 r, 32 (c + 1), 32 (r + 1)) times this.
        size: (height, width) in pixels of the input.
    """
    picture = np.full((size[0] * scale, size[1] * scale, 3), GREY, np.uint8)
    side = CELL * scale
    for colour, row, column in squares:
        picture[row * side : (row + 1) * side, column * side : (column + 1) * side] = RGB[colour]
    return picture
