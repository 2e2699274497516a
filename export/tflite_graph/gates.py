"""Products of a convolution's output with a gate, done as int8 from the sum before to the rounding behind.

SBCFormer's local stream: x times hardsigmoid(conv(...)), and the mean of x over cells. x is a sum that no layer reads
as int8, so its range is the one that calibration saw.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgevit.export.quantization.calibrate import Ranges
from edgevit.export.tflite_graph.edit import Edit
from edgevit.export.tflite_graph.graph import WEIGHTED
from edgevit.export.tflite_graph.residuals import int8_form, quantized

LEVELS = 255
LOWEST, HIGHEST = -128, 127


def gate_int8(model: bytes, ranges: Ranges) -> bytes:
    """Return the model with int8 products where a sum of two int8 tensors is multiplied by a third, and then rounded.

    Args:
        model: int8.
        ranges: of tensors, by their names.
    """
    edit = Edit(model)
    while any(_fold_factor(edit, item) or _multiply(edit, item, ranges) for item in edit.operators):
        edit.done()
    while edit.changed and any(_pool(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _fold_factor(edit: Edit, product: Any) -> bool:
    """Let a layer's scales hold the single number that its output is multiplied by: levels stay what they are."""
    if edit.kind(product) != "MUL" or edit.is_output(product.outputs[0]) or not edit.readers(product.outputs[0]):
        return False
    factor, source = edit.constant(product.inputs[1]), edit.maker(product.inputs[0])
    if factor is None or factor.size != 1 or not factor.reshape(()) > 0 or edit.kind(source) != "DEQUANTIZE":
        return False
    (output,) = source.inputs
    layer = edit.maker(output)
    if edit.kind(layer) not in WEIGHTED or len(edit.readers(output)) > 1 or len(edit.readers(source.outputs[0])) > 1:
        return False
    scaled = [output, *(index for index in layer.inputs[1:] if index >= 0)]
    if any(len(edit.readers(index)) > 1 for index in scaled) or not _clamp_by_range(edit, layer, output):
        return False
    for index in scaled:
        found = edit.graph.tensors[index].quantization
        found.scale = [np.float32(scale * float(factor.reshape(()))) for scale in found.scale]
    edit.replace(product.outputs[0], source.outputs[0])
    return True


def _clamp_by_range(edit: Edit, layer: Any, output: int) -> bool:
    """Let a layer clamp by no number of its own; return whether its output's range does so already."""
    kinds = schema.ActivationFunctionType
    scale = edit.scale(output)
    if layer.builtinOptions.fusedActivationFunction == kinds.RELU6 and scale is not None:
        if scale[0] * (HIGHEST - scale[1]) > 6 * (1 + 1e-6):
            return False
        layer.builtinOptions.fusedActivationFunction = kinds.RELU
    return layer.builtinOptions.fusedActivationFunction in (kinds.NONE, kinds.RELU)


def _multiply(edit: Edit, product: Any, ranges: Ranges) -> bool:
    if edit.kind(product) != "MUL" or edit.scale(product.inputs[0]) is not None:
        return False
    rounded = quantized(edit, product.outputs[0])
    if rounded is None or len(edit.readers(product.outputs[0])) > 1 or product.inputs[0] == product.inputs[1]:
        return False
    known = [int8_form(edit, index) for index in product.inputs]
    missing = [index for index, form in zip(product.inputs, known, strict=True) if form is None]
    if len(missing) > 1 or any(not _is_int8_sum(edit, index, ranges) for index in missing):
        return False
    sides = [
        _add_int8(edit, index, ranges) if form is None else form
        for index, form in zip(product.inputs, known, strict=True)
    ]
    edit.graph.operators.remove(edit.maker(rounded))
    product.inputs, product.outputs = sides, [rounded]
    edit.set_kind(product, "MUL")
    return True


def _is_int8_sum(edit: Edit, index: int, ranges: Ranges) -> bool:
    source = edit.maker(index)
    if edit.kind(source) != "ADD" or _name(edit, index) not in ranges or edit.is_output(index):
        return False
    return all(int8_form(edit, side) is not None for side in source.inputs)


def _add_int8(edit: Edit, index: int, ranges: Ranges) -> int:
    """Let a sum be computed in int8; return the int8 tensor of it."""
    source = edit.maker(index)
    sides = [int8_form(edit, side) for side in source.inputs]
    total = edit.new_tensor(index, "int8", scaled_as=sides[0])
    low, high = min(ranges[_name(edit, index)][0], 0.0), max(ranges[_name(edit, index)][1], 0.0)
    scale = (high - low) / LEVELS
    found = edit.graph.tensors[total].quantization
    found.scale, found.zeroPoint = [np.float32(scale)], [round(LOWEST - low / scale)]
    source.inputs, source.outputs = sides, [total]
    edit.set_kind(source, "ADD")
    edit.new_operator("DEQUANTIZE", [total], [index])
    return total


def _pool(edit: Edit, item: Any) -> bool:
    """Take means over cells that do not overlap as a depthwise convolution of equal weights, from int8 to int8."""
    if edit.kind(item) != "AVERAGE_POOL_2D" or edit.is_output(item.outputs[0]):
        return False
    source = edit.maker(item.inputs[0])
    if edit.kind(source) != "DEQUANTIZE":
        return False
    given, rounded = source.inputs[0], quantized(edit, item.outputs[0])
    scale, options = edit.scale(given), item.builtinOptions
    rows, columns = options.filterHeight, options.filterWidth
    _, height, width, channels = edit.shape(given)
    apart = (options.strideH, options.strideW) == (rows, columns) and height % rows == width % columns == 0
    if rounded is None or scale is None or not apart or options.fusedActivationFunction:
        return False
    if len(edit.readers(item.outputs[0])) > 1:
        return False
    weights = edit.new_constant("mean_weights", np.full((1, rows, columns, channels), HIGHEST, np.int8))
    bias = edit.new_constant("mean_bias", np.zeros(channels, np.int32))
    share = 1 / (rows * columns * HIGHEST)
    for index, axis, step in ((weights, 3, share), (bias, 0, share * scale[0])):
        found = schema.QuantizationParametersT()
        found.scale, found.zeroPoint = [np.float32(step)] * channels, [0] * channels
        found.quantizedDimension = axis
        edit.graph.tensors[index].quantization = found
    edit.graph.operators.remove(edit.maker(rounded))
    mean = edit.new_operator("DEPTHWISE_CONV_2D", [given, weights, bias], [rounded], options="DepthwiseConv2DOptions")
    mean.builtinOptions.padding = schema.Padding.VALID
    mean.builtinOptions.strideH, mean.builtinOptions.strideW = rows, columns
    mean.builtinOptions.depthMultiplier = 1
    return True


def _name(edit: Edit, index: int) -> str:
    return str(edit.graph.tensors[index].name.decode())
