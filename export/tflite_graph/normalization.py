"""Normalization of raw pixels, a depthwise convolution of one pixel and three channels, on sixteen pixels at once."""

from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import INT8, Edit

MOST = 16
"""Pixels that are taken together, at most: their channels then fill the sixteen places of int8's registers."""


def normalize_many(model: bytes) -> bytes:
    """Return the model with each normalization of an int8 image on several neighbours of a row at once.

    XNNPACK takes pixel by pixel, and a pixel of three channels takes it as long as one of sixteen. A row of W pixels of
    3 channels is read as one of W / 16 pixels of 48, whose weights, scales and biases are the three over and over.
    """
    edit = Edit(model)
    for item in edit.operators:
        if _normalizes(edit, item) and (together := _together(edit.shape(item.inputs[0])[2])) > 1:
            _widen(edit, item, together)
            edit.done()
    return edit.finished()


def _normalizes(edit: Edit, item: Any) -> bool:
    """Tell whether an operator scales and shifts the three channels of each pixel."""
    if edit.kind(item) != "DEPTHWISE_CONV_2D" or edit.graph.tensors[item.inputs[0]].type != INT8:
        return False
    options, constants = item.builtinOptions, [edit.constant(index) for index in item.inputs[1:] if index >= 0]
    return (
        len(constants) == 2
        and edit.shape(item.inputs[0])[-1] == 3
        and edit.shape(item.inputs[1]) == (1, 1, 1, 3)
        and (options.strideH, options.strideW) == (1, 1)
        and not any(constant is None for constant in constants)
    )


def _together(width: int) -> int:
    """Return how many pixels of a row to take together."""
    return next(count for count in range(MOST, 0, -1) if width % count == 0)


def _widen(edit: Edit, item: Any, together: int) -> None:
    (given, weights, bias), (made,) = item.inputs, item.outputs
    batch, height, width, channels = edit.shape(given)
    shape = (batch, height, width // together, channels * together)
    wide, normalized = edit.new_tensor(given, "wide", shape), edit.new_tensor(made, "wide", shape)
    edit.new_operator("RESHAPE", [given, edit.new_constant("wide", np.array(shape, np.int32))], [wide])
    item.inputs = [wide, _repeated(edit, weights, together), _repeated(edit, bias, together)]
    item.outputs = [normalized]
    readers = edit.readers(made)
    if len(readers) == 1 and edit.kind(readers[0]) == "RESHAPE" and not edit.is_output(made):
        readers[0].inputs = [normalized, *readers[0].inputs[1:]]
    else:
        pixels = edit.new_constant("pixels", np.array(edit.shape(made), np.int32))
        edit.new_operator("RESHAPE", [normalized, pixels], [made])


def _repeated(edit: Edit, index: int, times: int) -> int:
    """Add a constant that repeats another one's last axis, with its scales."""
    values = edit.constant(index)
    assert values is not None
    repeated = edit.new_constant("repeated", np.tile(values, times), like=index)
    found = edit.graph.tensors[repeated].quantization
    if len(found.scale) > 1:
        found.scale, found.zeroPoint = np.tile(found.scale, times), np.tile(found.zeroPoint, times)
    return repeated
