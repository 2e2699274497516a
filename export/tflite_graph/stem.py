"""The first convolution on pairs of pixels: six channels fill int8's registers of eight better than three."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgevit.export.tflite_graph.edit import INT8, Edit

ONE_BEFORE = [[0, 0], [1, 1], [1, 1], [0, 0]]
PAIR_BEFORE = [[0, 0], [1, 0], [1, 0], [0, 0]]
"""Rows and pairs of pixels that are added: none below or to the right, since of an even size neither is read."""


def pair_pixels(model: bytes) -> bytes:
    """Return the model with its first convolution, if it is an int8 one of 3x3 and stride 2, on pairs of pixels.

    A row of W pixels of 3 channels is read as one of W / 2 pairs of 6. The kernel's three columns become four of two
    pairs, the first of them zeros.
    """
    edit = Edit(model)
    for item in edit.operators:
        if edit.kind(item) == "CONV_2D" and edit.shape(item.inputs[0])[-1] == 3:
            if _fits(edit, item):
                _pair(edit, item)
                edit.done()
            break
    return edit.finished()


def _fits(edit: Edit, convolution: Any) -> bool:
    padding, options = edit.maker(convolution.inputs[0]), convolution.builtinOptions
    if edit.kind(padding) != "PAD" or edit.graph.tensors[convolution.inputs[1]].type != INT8:
        return False
    _, height, width, _ = edit.shape(padding.inputs[0])
    amounts = edit.constant(padding.inputs[1])
    plain = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor) == (2, 2, 1, 1)
    return (
        plain
        and options.padding == schema.Padding.VALID
        and edit.shape(convolution.inputs[1])[1:] == (3, 3, 3)
        and amounts is not None
        and amounts.tolist() == ONE_BEFORE
        and height % 2 == width % 2 == 0
        and len(edit.readers(padding.outputs[0])) == 1
    )


def _pair(edit: Edit, convolution: Any) -> None:
    padding = edit.maker(convolution.inputs[0])
    given, weights = padding.inputs[0], convolution.inputs[1]
    batch, height, width, _ = edit.shape(given)
    shape = (batch, height, width // 2, 6)
    pairs = edit.new_tensor(given, "pairs", shape)
    padded = edit.new_tensor(padding.outputs[0], "pairs", (batch, height + 1, width // 2 + 1, 6))
    edit.new_operator("RESHAPE", [given, edit.new_constant("pairs", np.array(shape, np.int32))], [pairs])
    edit.new_operator(
        "PAD", [pairs, edit.new_constant("pair_before", np.array(PAIR_BEFORE, np.int32))], [padded], like=padding
    )
    kernel = edit.constant(weights)
    assert kernel is not None
    wider = np.pad(kernel, [(0, 0), (0, 0), (1, 0), (0, 0)]).reshape(-1, 3, 2, 6)
    convolution.inputs = [padded, edit.new_constant("pair_weights", wider, like=weights), convolution.inputs[2]]
    convolution.builtinOptions.strideW = 1
