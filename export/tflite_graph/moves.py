"""Values that are only moved are moved as int8: a quarter of the bytes, and the same numbers."""

from typing import Any

from edgevit.export.tflite_graph.edit import Edit

ONE_INPUT = ("RESHAPE", "TRANSPOSE", "SLICE", "RESIZE_NEAREST_NEIGHBOR")
MOVES = (*ONE_INPUT, "CONCATENATION")
"""Operators whose outputs hold values of their inputs, none of them changed."""


def move_int8(model: bytes) -> bytes:
    """Return the model with DEQUANTIZE behind the operators that only move values, and QUANTIZE before them.

    Where it writes no more values than it reads; of several joined inputs, all must have one scale.
    """
    edit = Edit(model)
    while any(step(edit, item) for step in STEPS for item in edit.operators):
        edit.done()
    return edit.finished()


def _sink_dequantize(edit: Edit, item: Any) -> bool:
    """Move DEQUANTIZE behind an operator that reads it."""
    if edit.kind(item) not in MOVES:
        return False
    sources = [edit.maker(index) for index in _moved(edit, item)]
    if any(edit.kind(source) != "DEQUANTIZE" or edit.maker(source.inputs[0]) is None for source in sources):
        return False
    inside = [source.inputs[0] for source in sources]
    scales = {edit.scale(index) for index in inside}
    if len(scales) != 1 or None in scales:
        return False
    (outside,) = item.outputs
    moved = edit.new_tensor(outside, "int8", scaled_as=inside[0])
    item.inputs, item.outputs = [*inside, *item.inputs[len(inside) :]], [moved]
    edit.set_kind(item, edit.kind(item))
    edit.new_operator("DEQUANTIZE", [moved], [outside], like=sources[0])
    return True


def _hoist_quantize(edit: Edit, item: Any) -> bool:
    """Move QUANTIZE before an operator whose output is only quantized."""
    if edit.kind(item) != "QUANTIZE" or edit.scale(item.outputs[0]) is None:
        return False
    (outside,), source = item.inputs[:1], edit.maker(item.inputs[0])
    if edit.kind(source) not in MOVES or edit.kind(source) == "SLICE":
        return False
    if edit.is_output(outside) or {edit.kind(reader) for reader in edit.readers(outside)} != {"QUANTIZE"}:
        return False
    given = _moved(edit, source)
    inside = [edit.new_tensor(index, "int8", scaled_as=item.outputs[0]) for index in given]
    for index, made in zip(given, inside, strict=True):
        edit.new_operator("QUANTIZE", [index], [made], like=item)
    edit.new_operator(edit.kind(source), [*inside, *source.inputs[len(given) :]], item.outputs, like=source)
    edit.graph.operators.remove(item)
    return True


def _join_quantize(edit: Edit, item: Any) -> bool:
    """Quantize a tensor once for all that read it with one scale."""
    if edit.kind(item) != "QUANTIZE" or (scale := edit.scale(item.outputs[0])) is None:
        return False
    twins = [
        twin
        for twin in edit.readers(item.inputs[0])
        if twin is not item and edit.kind(twin) == "QUANTIZE" and edit.scale(twin.outputs[0]) == scale
        if not edit.is_output(twin.outputs[0])
    ]
    for twin in twins:
        edit.replace(twin.outputs[0], item.outputs[0])
    return bool(twins)


def _drop_pair(edit: Edit, item: Any) -> bool:
    """Leave out a QUANTIZE that makes of a DEQUANTIZE what that was made of."""
    if edit.kind(item) != "QUANTIZE" or edit.is_output(item.outputs[0]):
        return False
    source = edit.maker(item.inputs[0])
    if edit.kind(source) != "DEQUANTIZE":
        return False
    scale = edit.scale(source.inputs[0])
    if scale is None or scale != edit.scale(item.outputs[0]) or not edit.readers(item.outputs[0]):
        return False
    edit.replace(item.outputs[0], source.inputs[0])
    return True


def _move_before_relu(edit: Edit, item: Any) -> bool:
    """Move values before RELU instead of after it, so that they may be moved as int8."""
    if edit.kind(item) not in ONE_INPUT:
        return False
    source = edit.maker(item.inputs[0])
    if edit.kind(source) != "RELU" or edit.kind(edit.maker(source.inputs[0])) != "DEQUANTIZE":
        return False
    if len(edit.readers(source.outputs[0])) > 1 or edit.is_output(source.outputs[0]):
        return False
    (outside,) = item.outputs
    moved = edit.new_tensor(outside, "moved")
    item.inputs, item.outputs = [source.inputs[0], *item.inputs[1:]], [moved]
    source.inputs, source.outputs = [moved], [outside]
    return True


STEPS = (_join_quantize, _drop_pair, _hoist_quantize, _move_before_relu, _sink_dequantize)


def _moved(edit: Edit, item: Any) -> list[int]:
    """Return the inputs whose values an operator moves."""
    return list(item.inputs) if edit.kind(item) == "CONCATENATION" else list(item.inputs[:1])
