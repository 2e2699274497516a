"""The ends of a TFLite model as other programs feed and read them: raw pixels in, uint8 out."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgevit.export.tflite_graph.graph import opened, operator_names, operators, packed

SHIFT = 128
"""What uint8 levels are above int8's."""
PROBABILITY = 1 / 256
"""One level of an integer probability, as TFLite prescribes it."""
BYTE_CLASSES = 256
"""Most classes whose numbers fit a byte."""


def with_uint8_ends(model: bytes) -> bytes:
    """Return a model whose int8 input and output, as far as it has them, are uint8; values and names stay the same."""
    tree = opened(model)
    graph = tree.subgraphs[0]
    inside, outside = graph.inputs[0], graph.outputs[0]
    if graph.tensors[inside].type == schema.TensorType.INT8:
        twin = _uint8_twin(graph, inside)
        graph.operators.insert(0, _operator(tree, "QUANTIZE", twin, inside))
        _replace_end(tree, inside, twin)
    if graph.tensors[outside].type == schema.TensorType.INT8:
        twin = _uint8_twin(graph, outside)
        graph.operators.append(_operator(tree, "QUANTIZE", outside, twin))
        _replace_end(tree, outside, twin)
    return packed(tree)


def with_uint8_probabilities(model: bytes) -> bytes:
    """Return a model with float logits as one that answers with probabilities, uint8 levels of 1/256."""
    tree = opened(model)
    graph = tree.subgraphs[0]
    logits = graph.outputs[0]
    name = graph.tensors[logits].name
    assert graph.tensors[logits].type == schema.TensorType.FLOAT32
    probabilities = _add(graph, logits, b"probabilities")
    answer = _add(graph, logits, name)
    graph.tensors[logits].name = name + b"_float"
    scale = schema.QuantizationParametersT()
    scale.scale, scale.zeroPoint = [PROBABILITY], [0]
    graph.tensors[answer].type, graph.tensors[answer].quantization = schema.TensorType.UINT8, scale
    softmax = _operator(tree, "SOFTMAX", logits, probabilities)
    softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    softmax.builtinOptions = schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1.0
    graph.operators += [softmax, _operator(tree, "QUANTIZE", probabilities, answer)]
    _replace_end(tree, logits, answer)
    return packed(tree)


def with_class_numbers(model: bytes) -> bytes:
    """Return a model with float logits (B, classes, h, w) as one that answers with the best classes, (B, 1, h, w).

    uint8 levels of one class up to 256 classes, else float32; the lowest number among equals.
    """
    tree = opened(model)
    graph = tree.subgraphs[0]
    logits = graph.outputs[0]
    batch, classes, height, width = (int(side) for side in graph.tensors[logits].shape)
    name, source, axis = graph.tensors[logits].name, logits, 1
    last, operator = operators(tree)[-1]
    if last == "TRANSPOSE" and operator.outputs[0] == logits:
        # convolutions leave the classes last, where it is quickest to compare them
        source, axis = operator.inputs[0], 3
        graph.operators.pop()
    graph.tensors[logits].name = name + b"_of_classes"
    numbers, cells, answer = (_add(graph, logits, part) for part in (b"class_numbers", b"class_cells", name))
    for index, shape in ((numbers, (batch, height, width)), (cells, (batch, 1, height, width))):
        _retype(graph, index, shape, schema.TensorType.INT32)
    byte = classes <= BYTE_CLASSES
    kind = schema.TensorType.UINT8 if byte else schema.TensorType.FLOAT32
    _retype(graph, answer, (batch, 1, height, width), kind)
    if byte:
        graph.tensors[answer].quantization = schema.QuantizationParametersT()
        graph.tensors[answer].quantization.scale, graph.tensors[answer].quantization.zeroPoint = [1.0], [0]
    best = _operator(tree, "ARG_MAX", source, numbers, _constant(tree, b"class_axis", [axis]))
    best.builtinOptionsType, best.builtinOptions = schema.BuiltinOptions.ArgMaxOptions, schema.ArgMaxOptionsT()
    best.builtinOptions.outputType = schema.TensorType.INT32
    reshape = _operator(tree, "RESHAPE", numbers, cells, _constant(tree, b"cells", [batch, 1, height, width]))
    graph.operators += [best, reshape, _operator(tree, "CAST", cells, answer)]
    _replace_end(tree, logits, answer)
    return packed(tree)


def _retype(graph: Any, index: int, shape: Sequence[int], kind: int) -> None:
    tensor = graph.tensors[index]
    tensor.shape, tensor.shapeSignature, tensor.type, tensor.quantization = list(shape), None, kind, None


def _constant(tree: Any, name: bytes, values: Sequence[int]) -> int:
    """Add a constant int32 tensor (N,); return its index."""
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(np.array(values, "<i4").tobytes(), np.uint8)
    tree.buffers.append(buffer)
    tensor.name, tensor.buffer = name, len(tree.buffers) - 1
    tree.subgraphs[0].tensors.append(tensor)
    index = len(tree.subgraphs[0].tensors) - 1
    _retype(tree.subgraphs[0], index, (len(values),), schema.TensorType.INT32)
    return index


def _uint8_twin(graph: Any, index: int) -> int:
    """Add a uint8 tensor under an int8 tensor's name; return its index."""
    tensor = graph.tensors[index]
    twin = _add(graph, index, tensor.name)
    graph.tensors[twin].type = schema.TensorType.UINT8
    graph.tensors[twin].quantization.zeroPoint = [int(point) + SHIFT for point in tensor.quantization.zeroPoint]
    tensor.name = tensor.name + b"_int8"
    return twin


def _add(graph: Any, like: int, name: bytes) -> int:
    """Add a tensor of another one's shape and type; return its index."""
    tensor = copy.deepcopy(graph.tensors[like])
    tensor.name, tensor.buffer = name, 0
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _replace_end(tree: Any, old: int, new: int) -> None:
    """Make another tensor the model's input or output in place of the old one."""
    graph = tree.subgraphs[0]
    graph.inputs = [new if index == old else index for index in graph.inputs]
    graph.outputs = [new if index == old else index for index in graph.outputs]
    for signature in tree.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = new if entry.tensorIndex == old else entry.tensorIndex


def _operator(tree: Any, name: str, source: int, target: int, *constants: int) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = _code(tree, name), [source, *constants], [target]
    return made


def _code(tree: Any, name: str) -> int:
    """Return the index of an operator among the model's codes, adding it if need be."""
    number = next(code for code, known in operator_names().items() if known == name)
    for index, code in enumerate(tree.operatorCodes):
        if code.builtinCode == number:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = 1
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1
