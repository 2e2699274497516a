"""Additions whose both sides and result are known as int8, done as int8: a branch and what it is added to."""

from typing import Any

from edgevit.export.tflite_graph.edit import Edit


def add_int8(model: bytes) -> bytes:
    """Return the model with int8 additions where each side is int8 before, and the sum behind.

    The sum is rounded from two rounded sides, and what else reads it reads it rounded.
    """
    edit = Edit(model)
    while any(_add(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _add(edit: Edit, item: Any) -> bool:
    if edit.kind(item) != "ADD" or edit.scale(item.inputs[0]) is not None:
        return False
    (total,) = item.outputs
    sides = [int8_form(edit, index) for index in item.inputs]
    rounded = quantized(edit, total)
    if rounded is None or None in sides or edit.is_output(total):
        return False
    quantize = edit.maker(rounded)
    others = [reader for reader in edit.readers(total) if reader is not quantize]
    edit.graph.operators.remove(quantize)
    item.inputs, item.outputs = sides, [rounded]
    edit.set_kind(item, "ADD")
    if others:
        edit.new_operator("DEQUANTIZE", [rounded], [total])
    return True


def int8_form(edit: Edit, index: int) -> int | None:
    """Return the int8 tensor that a float one is made of or is made to; None where there is none."""
    source = edit.maker(index)
    if edit.kind(source) == "DEQUANTIZE" and edit.scale(source.inputs[0]) is not None:
        return int(source.inputs[0])
    return quantized(edit, index)


def quantized(edit: Edit, index: int) -> int | None:
    """Return what a float tensor is quantized to, if that is one int8 tensor."""
    made = [reader.outputs[0] for reader in edit.readers(index) if edit.kind(reader) == "QUANTIZE"]
    return made[0] if len(made) == 1 and edit.scale(made[0]) is not None else None
