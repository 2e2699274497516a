"""Padding with another number than zero as a joined constant, which XNNPACK has an operator for."""

from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import Edit


def join_constants(model: bytes) -> bytes:
    """Return the model with each float PADV2 of one side of one axis as a CONCATENATION.

    XNNPACK has none of it: it would run before and behind, and hand everything over twice.
    """
    edit = Edit(model)
    while any(_join(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _join(edit: Edit, item: Any) -> bool:
    if edit.kind(item) != "PADV2":
        return False
    given, (made,) = item.inputs[0], item.outputs
    amounts, fill = edit.constant(item.inputs[1]), edit.constant(item.inputs[2])
    if amounts is None or fill is None or np.count_nonzero(amounts) != 1 or fill.dtype != np.float32:
        return False
    axis, end = (int(place) for place in np.argwhere(amounts)[0])
    shape = list(edit.shape(given))
    shape[axis] = int(amounts[axis, end])
    constant = edit.new_constant("padding", np.full(shape, fill.reshape(()), np.float32))
    joined = edit.new_operator(
        "CONCATENATION", [given, constant] if end else [constant, given], [made], options="ConcatenationOptions"
    )
    joined.builtinOptions.axis = axis
    edit.graph.operators.remove(item)
    return True
