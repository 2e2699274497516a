"""Fewer roundings of the same values: layers read an int8 tensor that is there already, and GELU is looked up."""

import math
from typing import Any

import numpy as np

from edgevit.export.tflite_graph.edit import FLOAT32, INT8, Edit
from edgevit.export.tflite_graph.graph import WEIGHTED

COARSER = 2.0
"""A layer may read another int8 form of its input if that has steps at most so many times as large."""
LOWEST, LEVELS = -128, 255
LEAST_GELU = -0.17
"""The smallest value of GELU, rounded down."""


def round_once(model: bytes) -> bytes:
    """Return the model with layers that read another int8 form of their input, where there is one, than their own.

    Such as the one that the input was made float of: rounding it to other steps loses time and never gains.
    """
    edit = Edit(model)
    while any(_read_other(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def look_up_gelu(model: bytes) -> bytes:
    """Return the model with each GELU of an int8 tensor as int8 too, which the runtime looks up in a table."""
    edit = Edit(model)
    while any(_round_gelu(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _read_other(edit: Edit, layer: Any) -> bool:
    if edit.kind(layer) not in WEIGHTED or len(layer.inputs) < 3 or layer.inputs[2] < 0:
        return False
    given, weights, bias = layer.inputs[:3]
    if edit.graph.tensors[weights].type != INT8 or (steps := edit.scale(given)) is None:
        return False
    other = next((form for form in _other_forms(edit, given) if _fits(edit, form, steps[0])), None)
    values = edit.constant(bias)
    if other is None or values is None:
        return False
    scale, _ = _scale(edit, other)
    ratio = steps[0] / scale
    moved = edit.new_constant("bias", np.rint(values * ratio).astype(np.int32), like=bias)
    found = edit.graph.tensors[moved].quantization
    found.scale = [np.float32(each / ratio) for each in found.scale]
    layer.inputs = [other, weights, moved]
    return True


def _fits(edit: Edit, index: int, step: float) -> bool:
    scale = edit.scale(index)
    return scale is not None and scale[0] <= COARSER * step


def _scale(edit: Edit, index: int) -> tuple[float, int]:
    found = edit.scale(index)
    assert found is not None
    return found


def _other_forms(edit: Edit, index: int) -> list[int]:
    """Return int8 tensors of the same float values as this one, with scales of their own."""
    source = edit.maker(index)
    if edit.kind(source) == "RESHAPE":
        return [
            int(reader.outputs[0])
            for form in _other_forms(edit, source.inputs[0])
            for reader in edit.readers(form)
            if edit.kind(reader) == "RESHAPE" and edit.shape(reader.outputs[0]) == edit.shape(index)
        ]
    if edit.kind(source) != "QUANTIZE":
        return []
    (values,) = source.inputs
    before = edit.maker(values)
    if edit.kind(before) == "DEQUANTIZE":
        return [int(before.inputs[0])]
    twins = [reader for reader in edit.readers(values) if reader is not source and edit.kind(reader) == "QUANTIZE"]
    # of two layers one keeps its own form
    return [
        int(twin.outputs[0])
        for twin in twins
        if edit.scale(twin.outputs[0]) and _scale(edit, twin.outputs[0])[0] >= _scale(edit, index)[0]
    ]


def _round_gelu(edit: Edit, gelu: Any) -> bool:
    if edit.kind(gelu) != "GELU" or edit.graph.tensors[gelu.inputs[0]].type != FLOAT32:
        return False
    source, (made,) = edit.maker(gelu.inputs[0]), gelu.outputs
    kinds = {edit.kind(reader) for reader in edit.readers(made)}
    if edit.kind(source) != "DEQUANTIZE" or edit.is_output(made) or not kinds or "QUANTIZE" in kinds:
        return False
    scale, zero = _scale(edit, source.inputs[0])
    highest = scale * (LOWEST + LEVELS - zero)
    top = highest / 2 * (1 + math.erf(highest / math.sqrt(2)))
    step = (max(top, 0.0) - LEAST_GELU) / LEVELS
    rounded = edit.new_tensor(made, "int8", scaled_as=source.inputs[0])
    found = edit.graph.tensors[rounded].quantization
    found.scale, found.zeroPoint = [np.float32(step)], [round(LOWEST - LEAST_GELU / step)]
    floated = edit.new_tensor(made, "float")
    edit.replace(made, floated)
    edit.new_operator("QUANTIZE", [made], [rounded], options="QuantizeOptions")
    edit.new_operator("DEQUANTIZE", [rounded], [floated], like=source)
    return True
