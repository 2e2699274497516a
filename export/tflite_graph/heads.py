"""Attention of heads that were joined from several int8 tensors, apart for each: nothing float has to be joined.

EfficientViT's attention takes the queries, keys and values of one convolution and those of a second, each with a scale
of its own. Joined in float they are copied, transposed and cut as float; apart, all that is done as int8.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import Edit
from edgevit.export.tflite_graph.moves import move_int8


@dataclass(frozen=True)
class Parts:
    """How a tensor consists of parts that have nothing to do with each other."""

    axis: int
    sizes: tuple[int, ...]
    """The lengths of the parts along the axis."""


def split_heads(model: bytes) -> bytes:
    """Return the model with each float concatenation whose parts meet only where they are quantized as one of int8.

    What moves the values of a part is then moved to int8 too.
    """
    edit = Edit(model)
    for item in edit.operators:
        if edit.kind(item) == "CONCATENATION" and _split(edit, item):
            edit.done()
    return move_int8(edit.finished()) if edit.changed else model


def _split(edit: Edit, concatenation: Any) -> bool:
    sources = [edit.maker(index) for index in concatenation.inputs]
    if {edit.kind(source) for source in sources} != {"DEQUANTIZE"}:
        return False
    axis = concatenation.builtinOptions.axis % len(edit.shape(concatenation.outputs[0]))
    sizes = tuple(edit.shape(index)[axis] for index in concatenation.inputs)
    region = _region(edit, concatenation.outputs[0], Parts(axis, sizes))
    if region is None:
        return False
    inside, parts = region
    copies = [{concatenation.outputs[0]: index} for index in concatenation.inputs]
    for item in inside:
        for number, copied in enumerate(copies):
            _copy(edit, item, parts, number, copied)
        if edit.kind(item) == "QUANTIZE":
            (joined,) = item.outputs
            made = [copied[joined] for copied in copies]
            edit.new_operator("CONCATENATION", made, [joined], like=concatenation)
            edit.graph.operators[-1].builtinOptions = _joined_along(concatenation.builtinOptions, parts[joined].axis)
        edit.graph.operators.remove(item)
    return True


def _region(edit: Edit, joined: int, parts: Parts) -> tuple[list[Any], dict[int, Parts]] | None:
    """Return the operators from a joined tensor to where it is quantized, and how each tensor there has parts.

    None where the parts meet before that.
    """
    inside, known, ends = [], {joined: parts}, set[int]()
    for item in edit.operators:
        if not any(index in known and index not in ends for index in item.inputs):
            continue
        kind = edit.kind(item)
        found = RULES[kind](edit, item, known) if kind in RULES else None
        if found is None or len(item.outputs) != 1 or edit.is_output(item.outputs[0]):
            return None
        inside.append(item)
        known[item.outputs[0]] = found
        if kind == "QUANTIZE":
            ends.add(item.outputs[0])
    return (inside, known) if ends else None


def _copy(edit: Edit, item: Any, parts: dict[int, Parts], number: int, copied: dict[int, int]) -> None:
    """Add an operator that does for one part what `item` does for all; `copied` is each tensor's part."""
    made = parts[item.outputs[0]]
    shape = _part_shape(edit, item.outputs[0], made, number)
    output = edit.new_tensor(item.outputs[0], f"part{number}", shape)
    inputs = [copied.get(index, index) for index in item.inputs]
    if edit.kind(item) == "RESHAPE":
        inputs[1] = edit.new_constant("shape", np.array(shape, np.int32))
    elif edit.kind(item) == "SLICE":
        inputs[2] = edit.new_constant("size", np.array(shape, np.int32))
    edit.new_operator(edit.kind(item), inputs, [output], like=item)
    copied[item.outputs[0]] = output


def _part_shape(edit: Edit, index: int, parts: Parts, number: int) -> tuple[int, ...]:
    shape = list(edit.shape(index))
    shape[parts.axis] = parts.sizes[number]
    return tuple(shape)


def _same(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    return known[item.inputs[0]]


def _after_transpose(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    parts, order = known[item.inputs[0]], edit.constant(item.inputs[1])
    return None if order is None else Parts(order.tolist().index(parts.axis), parts.sizes)


def _after_reshape(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    """Parts stay parts where as many values lie before and behind the axis as before, or the parts are whole rows."""
    parts, old, new = known[item.inputs[0]], edit.shape(item.inputs[0]), edit.shape(item.outputs[0])
    before, behind = math.prod(old[: parts.axis]), math.prod(old[parts.axis + 1 :])
    for axis in range(len(new)):
        inner = math.prod(new[axis + 1 :])
        if math.prod(new[:axis]) == before and all(size * behind % inner == 0 for size in parts.sizes):
            sizes = tuple(size * behind // inner for size in parts.sizes)
            if sum(sizes) == new[axis]:
                return Parts(axis, sizes)
    return None


def _after_slice(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    parts = known[item.inputs[0]]
    whole = edit.shape(item.outputs[0])[parts.axis] == sum(parts.sizes)
    return parts if whole and edit.constant(item.inputs[1]) is not None else None


def _after_padding(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    parts = known[item.inputs[0]]
    return parts if edit.shape(item.outputs[0])[parts.axis] == sum(parts.sizes) else None


def _after_product(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    left, right = (known.get(index) for index in item.inputs[:2])
    rank = len(edit.shape(item.outputs[0]))
    return left if left is not None and left == right and left.axis < rank - 2 else None


def _after_arithmetic(edit: Edit, item: Any, known: dict[int, Parts]) -> Parts | None:
    """Two tensors of the same parts, or one with a single constant."""
    ranks = {len(edit.shape(index)) for index in (*item.inputs, *item.outputs) if index in known}
    parts = {known[index] for index in item.inputs if index in known}
    others = [index for index in item.inputs if index not in known]
    single = all(edit.constant(index) is not None and math.prod(edit.shape(index)) == 1 for index in others)
    found = parts.pop()
    fits = not parts and single and ranks == {len(edit.shape(item.outputs[0]))}
    return found if fits and edit.shape(item.outputs[0])[found.axis] == sum(found.sizes) else None


RULES = {
    **dict.fromkeys(("RELU", "QUANTIZE"), _same),
    **dict.fromkeys(("MAXIMUM", "DIV", "ADD", "MUL", "SUB"), _after_arithmetic),
    **dict.fromkeys(("PAD", "PADV2"), _after_padding),
    "TRANSPOSE": _after_transpose,
    "RESHAPE": _after_reshape,
    "SLICE": _after_slice,
    "BATCH_MATMUL": _after_product,
}
"""Operator to what tells how its output consists of parts; None where the parts meet."""


def _joined_along(options: Any, axis: int) -> Any:
    changed = copy.copy(options)
    changed.axis = axis
    return changed
