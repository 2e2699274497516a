"""Products of two activations fed as the runtime takes them, without copies that only bring them into another form."""

from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import Edit

BINARY = ("ADD", "MUL", "SUB", "DIV", "MAXIMUM")


def feed_products(model: bytes) -> bytes:
    """Return the model with no reshape around its products of two activations, and no transpose of their right sides.

    The converter drops an axis of length 1 before each product, and adds it again behind.
    """
    edit = Edit(model)
    while any(step(edit, item) for step in STEPS for item in edit.operators):
        edit.done()
    return edit.finished()


def _keep_axis(edit: Edit, item: Any) -> bool:
    """Multiply (1, ...) instead of dropping the axis of both sides, which then is dropped of the product."""
    if edit.kind(item) != "BATCH_MATMUL":
        return False
    whole = [_before_drop(edit, index) for index in item.inputs]
    if None in whole:
        return False
    (dropped,) = item.outputs
    kept = edit.new_tensor(dropped, "kept", (1, *edit.shape(dropped)))
    item.inputs, item.outputs = whole, [kept]
    shape = edit.new_constant("shape", np.array(edit.shape(dropped), np.int32))
    edit.new_operator("RESHAPE", [kept, shape], [dropped])
    return True


def _read_before_drop(edit: Edit, item: Any) -> bool:
    """Read what an axis was dropped of, where that gives the same: in arithmetic whose result has the axis."""
    if edit.kind(item) not in BINARY:
        return False
    rank = len(edit.shape(item.outputs[0]))
    for place, index in enumerate(item.inputs):
        whole = _before_drop(edit, index)
        if whole is not None and len(edit.shape(whole)) == rank:
            item.inputs = [whole if at == place else other for at, other in enumerate(item.inputs)]
            return True
    return False


def _reshape_once(edit: Edit, item: Any) -> bool:
    """Reshape what the last reshape was made of, or not at all where the shape is the same."""
    if edit.kind(item) != "RESHAPE":
        return False
    source, (made,) = edit.maker(item.inputs[0]), item.outputs
    if edit.kind(source) == "RESHAPE":
        item.inputs = [source.inputs[0], *item.inputs[1:]]
        return True
    same = edit.shape(item.inputs[0]) == edit.shape(made) and not edit.is_output(made) and bool(edit.readers(made))
    if same:
        edit.replace(made, item.inputs[0])
    return same


def _take_transposed(edit: Edit, item: Any) -> bool:
    """Let a product take its right side as it is, rather than transposed."""
    if edit.kind(item) != "BATCH_MATMUL" or item.builtinOptions.adjY:
        return False
    source = edit.maker(item.inputs[1])
    if edit.kind(source) != "TRANSPOSE":
        return False
    order = edit.constant(source.inputs[1])
    if order is None or order[-2] != len(order) - 1:
        return False
    item.builtinOptions.adjY = True
    swapped = [*order[:-2], order[-1], order[-2]]
    if swapped == sorted(swapped):
        item.inputs = [item.inputs[0], source.inputs[0]]
        return True
    shape = [edit.shape(source.inputs[0])[axis] for axis in swapped]
    turned = edit.new_tensor(item.inputs[1], "turned", shape)
    edit.new_operator(
        "TRANSPOSE", [source.inputs[0], edit.new_constant("order", np.array(swapped, np.int32))], [turned]
    )
    item.inputs = [item.inputs[0], turned]
    return True


STEPS = (_keep_axis, _read_before_drop, _reshape_once, _take_transposed)


def _before_drop(edit: Edit, index: int) -> int | None:
    """Return the tensor that a first axis of length 1 was dropped of; None if that is not how this one was made."""
    source = edit.maker(index)
    if edit.kind(source) != "RESHAPE" or edit.shape(source.inputs[0]) != (1, *edit.shape(index)):
        return None
    return int(source.inputs[0])
