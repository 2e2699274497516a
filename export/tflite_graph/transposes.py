"""Arithmetic with constants done on the channels where they are, instead of between two transposes."""

from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import Edit

SINGLE = ("RELU", "HARD_SWISH", "GELU", "LOGISTIC", "DEQUANTIZE", "QUANTIZE")
WITH_CONSTANT = ("ADD", "MUL", "SUB")


def cancel_transposes(model: bytes) -> bytes:
    """Return the model without the transposes that another one undoes, what lies between them done in the first order.

    SBCFormer's upsampling is such a place: each pixel times a constant, in the order that PyTorch has.
    """
    edit = Edit(model)
    while any(_cancel(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _cancel(edit: Edit, last: Any) -> bool:
    if edit.kind(last) != "TRANSPOSE" or edit.is_output(last.outputs[0]) or not edit.readers(last.outputs[0]):
        return False
    order = edit.constant(last.inputs[1])
    between = _between(edit, last)
    first = edit.maker(between[0].inputs[0] if between else last.inputs[0])
    if order is None or edit.kind(first) != "TRANSPOSE":
        return False
    undone = edit.constant(first.inputs[1])
    if undone is None or undone[order].tolist() != sorted(order.tolist()):
        return False
    current = first.inputs[0]
    for item in between:
        shape = [edit.shape(item.outputs[0])[axis] for axis in order]
        made = edit.new_tensor(item.outputs[0], "in_order", shape)
        constants = [_in_order(edit, index, order) for index in item.inputs[1:]]
        edit.new_operator(edit.kind(item), [current, *constants], [made], like=item)
        current = made
    edit.replace(last.outputs[0], current)
    return True


def _between(edit: Edit, last: Any) -> list[Any]:
    """Return the operators before a transpose that can be done in any order of axes and that nothing else reads."""
    found: list[Any] = []
    item = edit.maker(last.inputs[0])
    while item is not None and len(edit.readers(item.outputs[0])) == 1 and not edit.is_output(item.outputs[0]):
        constants = [edit.constant(index) for index in item.inputs[1:]]
        plain = edit.kind(item) in SINGLE or edit.kind(item) in WITH_CONSTANT
        if not plain or any(values is None for values in constants):
            break
        if edit.shape(item.inputs[0]) != edit.shape(item.outputs[0]):
            break
        found.insert(0, item)
        item = edit.maker(item.inputs[0])
    return found


def _in_order(edit: Edit, index: int, order: Any) -> int:
    """Return a constant with its axes in another order; a single number stays what it is."""
    values = edit.constant(index)
    assert values is not None
    if values.size == 1:
        return index
    whole = values.reshape((1,) * (len(order) - values.ndim) + values.shape)
    return edit.new_constant("in_order", np.ascontiguousarray(whole.transpose(order)))
