"""Raw answers of a detector to boxes inside the ONNX graph, in float, behind all that is int8.

The graph's tails are written in ONNX's own text form (onnx.parser).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.runtime.detection.decode import LONGEST, LONGEST_DELTA, anchors, cells

JOINED = "detections"
"""Name of the one output of `with_joined_boxes`."""
MOST = 100
"""Boxes of a picture, and of each class before that, that `with_suppression` leaves."""
LEAST_SCORE = 0.01
"""Boxes of lower scores are not told by `with_suppression`."""
LEAST_PROBABILITY = 1e-6
"""What a class has that a box is not of, and as far from 1 its own stays, so that logits are finite."""


@dataclass(frozen=True)
class Output:
    """What the finished graph calls one of its answers."""

    name: str
    shape: tuple[int, ...]


BOXES = """
    xy, wh = Split <axis = 2> (boxes, halves)
    moved = Mul (xy, scales)
    centres = Add (moved, offsets)
    bounded = Min (wh, longest)
    grown = Exp (bounded)
    sides = Mul (grown, scales)
"""
SCORES = {
    True: """
    there = Sigmoid (objectness)
    which = Sigmoid (scores)
    probabilities = Mul (there, which)
""",
    False: """
    probabilities = Sigmoid (scores)
""",
}
"""Whether a model says objectness, to the score of every class at every place."""
JOIN = """
    rows = Concat <axis = 2> (centres, sides, probabilities)
    detections = Transpose <perm = [0, 2, 1]> (rows)
"""
SUPPRESS = """
    halved = Mul (sides, half)
    low = Sub (centres, halved)
    high = Add (centres, halved)
    corners = Concat <axis = 2> (low, high)
    by_class = Transpose <perm = [0, 2, 1]> (probabilities)
    selected = NonMaxSuppression (corners, by_class, most, overlap, least)
    pairs = Gather <axis = 1> (selected, class_and_place)
    table = Squeeze (by_class, first)
    scored = GatherND (table, pairs)
    all_scores = Concat <axis = 0> (scored, no_scores)
    all_pairs = Concat <axis = 0> (pairs, no_pairs)
    best, order = TopK (all_scores, most)
    chosen = Gather <axis = 0> (all_pairs, order)
    classes = Gather <axis = 1> (chosen, zero)
    places = Gather <axis = 1> (chosen, one)
    kept_boxes = Gather <axis = 1> (corners, places)
    mask = OneHot (classes, depth, off_and_on)
    column = Unsqueeze (best, one_axis)
    spread = Mul (mask, column)
    inside = Clip (spread, lowest, highest)
    rest = Sub (whole, inside)
    ratio = Div (inside, rest)
    logits = Log (ratio)
    kept_scores = Unsqueeze (logits, first)
"""


def with_joined_boxes(model: ModelProto, meaning: BoxOutput, size: tuple[int, int]) -> tuple[ModelProto, BoxOutput]:
    """Return a graph with the one output (B, 4 + classes, places) that other tools know as YOLO's, and its meaning.

    Centre x, centre y, width and height in pixels of the input, then the score of each class, 0..1.
    """
    batch, places, classes = _sides(model)
    outputs = {"detections": Output(JOINED, (batch, 4 + classes, places))}
    said = replace(meaning, decode="joined", boxes=JOINED, scores=JOINED, objectness="")
    return _with_tail(model, meaning, size, JOIN, outputs, {}), said


def with_suppression(model: ModelProto, meaning: BoxOutput, size: tuple[int, int]) -> tuple[ModelProto, BoxOutput]:
    """Return a graph that leaves out boxes which overlap a surer one of their class, and what its answers mean.

    They are corners (1, MOST, 4) in pixels of the input and logits (1, MOST, classes), the surest first, under the
    names of the raw ones; each row is of one class, and where there are fewer boxes the last rows are of none.
    """
    _, _, classes = _sides(model)
    constants: dict[str, NDArray[np.generic]] = {
        "half": np.array(0.5, np.float32),
        "most": np.array([MOST], np.int64),
        "overlap": np.array([meaning.overlap], np.float32),
        "least": np.array([LEAST_SCORE], np.float32),
        "class_and_place": np.array([1, 2], np.int64),
        "first": np.array([0], np.int64),
        "no_scores": np.zeros(MOST, np.float32),
        "no_pairs": np.zeros((MOST, 2), np.int64),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "depth": np.array(classes, np.int64),
        "off_and_on": np.array([0, 1], np.float32),
        "one_axis": np.array([1], np.int64),
        "lowest": np.array(LEAST_PROBABILITY, np.float32),
        "highest": np.array(1 - LEAST_PROBABILITY, np.float32),
        "whole": np.array(1, np.float32),
    }
    outputs = {
        "kept_boxes": Output(meaning.boxes, (1, MOST, 4)),
        "kept_scores": Output(meaning.scores, (1, MOST, classes)),
    }
    said = replace(meaning, decode="corners", objectness="")
    return _with_tail(model, meaning, size, SUPPRESS, outputs, constants), said


def with_normalization(model: ModelProto, preprocessing: Preprocess) -> ModelProto:
    """Return a graph that takes levels in 0..1 and itself subtracts the mean and divides by the deviation."""
    result = ModelProto()
    result.CopyFrom(model)
    (given,) = result.graph.input
    inner = f"{given.name}_normalized"
    for node in result.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = inner if name == given.name else name
    order = -1 if preprocessing.channels == "BGR" else 1
    for name, values in (("mean", preprocessing.mean), ("deviation", preprocessing.std)):
        constant = np.array(values[::order], np.float32).reshape(1, 3, 1, 1)
        result.graph.initializer.append(numpy_helper.from_array(constant, f"{given.name}_{name}"))
    centred = onnx.helper.make_node("Sub", [given.name, f"{given.name}_mean"], [f"{inner}_mean"], "normalize_mean")
    scaled = onnx.helper.make_node("Div", [f"{inner}_mean", f"{given.name}_deviation"], [inner], "normalize_deviation")
    nodes = list(result.graph.node)
    del result.graph.node[:]
    result.graph.node.extend([centred, scaled, *nodes])
    return result


def _sides(model: ModelProto) -> tuple[int, int, int]:
    """Return batch, places and classes."""
    batch, places, classes = (axis.dim_value for axis in model.graph.output[-1].type.tensor_type.shape.dim)
    return batch, places, classes


def _with_tail(
    model: ModelProto,
    meaning: BoxOutput,
    size: tuple[int, int],
    steps: str,
    outputs: Mapping[str, Output],
    constants: Mapping[str, NDArray[np.generic]],
) -> ModelProto:
    """Return the model with its outputs decoded and led through `steps`, whose results `outputs` names."""
    offsets, scales, longest = _grid(meaning, size)
    constants = {
        "halves": np.array([2, 2], np.int64),
        "offsets": offsets[None],
        "scales": scales[None],
        "longest": np.array(longest, np.float32),
        **constants,
    }
    tail = onnx.parser.parse_graph(f"tail () => () {{{BOXES}{SCORES[bool(meaning.objectness)]}{steps}}}")
    raw = {"boxes": meaning.boxes, "objectness": meaning.objectness, "scores": meaning.scores}
    result = ModelProto()
    result.CopyFrom(model)
    # the new outputs may bear the names of the raw ones
    _rename(result.graph.node, {name: f"raw_{name}" for name in raw.values()}, lambda name: name)
    given = {part: f"raw_{name}" for part, name in raw.items()} | {part: out.name for part, out in outputs.items()}
    _rename(tail.node, given, lambda name: f"tail_{name}")
    for node in tail.node:
        node.name = f"tail_{node.output[0]}"
    result.graph.node.extend(tail.node)
    result.graph.initializer.extend(numpy_helper.from_array(value, f"tail_{name}") for name, value in constants.items())
    del result.graph.output[:]
    result.graph.output.extend(
        onnx.helper.make_tensor_value_info(out.name, TensorProto.FLOAT, out.shape) for out in outputs.values()
    )
    onnx.checker.check_model(result)
    return result


def _rename(nodes: Iterable[NodeProto], given: Mapping[str, str], other: Callable[[str], str]) -> None:
    """Rename the nodes' tensors in place: as `given`, else by what `other` makes of the name."""
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [given.get(name) or other(name) if name else "" for name in list(names)]


def _grid(meaning: BoxOutput, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return where each place's box starts from and what its numbers are in units of, (places, 2), and their limit."""
    if meaning.decode == "retina":
        every = anchors(meaning.strides, size)
        sides = every[:, 2:] - every[:, :2]
        return np.asarray((every[:, :2] + every[:, 2:]) / 2, np.float32), np.asarray(sides, np.float32), LONGEST_DELTA
    every = cells(meaning.strides, size)
    return every[:, :2], np.repeat(every[:, 2:], 2, axis=1), LONGEST
