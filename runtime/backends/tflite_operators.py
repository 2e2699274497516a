"""What a TFLite file asks of the runtime: its operators, their versions, and what tflite-runtime 2.14 cannot do."""

import re
from dataclasses import dataclass

from edgevit.artifact.files import FilePath
from edgevit.artifact.flatbuffer import Table
from edgevit.artifact.tflite import OUTPUTS, SUBGRAPHS, open_tflite

OPERATOR_CODES = 1
"""Field number of TFLite's Model; an OperatorCode's old code is 0, its own name 1, version 2 and code 3."""
CUSTOM, FULLY_CONNECTED = 32, 9
FLOAT32, INT8 = 0, 9
"""Types of tensors."""

_OLD = """
ADD 5 AVERAGE_POOL_2D 3 CONCATENATION 4 CONV_2D 7 DEPTHWISE_CONV_2D 7 DEPTH_TO_SPACE 2 DEQUANTIZE 5 EMBEDDING_LOOKUP 3
FLOOR 1 FULLY_CONNECTED 10 HASHTABLE_LOOKUP 1 L2_NORMALIZATION 2 L2_POOL_2D 1 LOCAL_RESPONSE_NORMALIZATION 1
LOGISTIC 3 LSH_PROJECTION 1 LSTM 4 MAX_POOL_2D 3 MUL 7 RELU 3 RELU_N1_TO_1 1 RELU6 3 RESHAPE 1 RESIZE_BILINEAR 4 RNN 3
SOFTMAX 3 SPACE_TO_DEPTH 2 SVDF 4 TANH 3 CONCAT_EMBEDDINGS 0 SKIP_GRAM 1 CALL 0 CUSTOM 0 EMBEDDING_LOOKUP_SPARSE 1
PAD 4 UNIDIRECTIONAL_SEQUENCE_RNN 3 GATHER 6 BATCH_TO_SPACE_ND 4 SPACE_TO_BATCH_ND 4 TRANSPOSE 6 MEAN 3 SUB 5 DIV 2
SQUEEZE 2 UNIDIRECTIONAL_SEQUENCE_LSTM 4 STRIDED_SLICE 8 BIDIRECTIONAL_SEQUENCE_RNN 3 EXP 2 TOPK_V2 3 SPLIT 4
LOG_SOFTMAX 2 DELEGATE 0 BIDIRECTIONAL_SEQUENCE_LSTM 3 CAST 5 PRELU 1 MAXIMUM 4 ARG_MAX 3 MINIMUM 4 LESS 3 NEG 1
PADV2 4 GREATER 2 GREATER_EQUAL 3 LESS_EQUAL 2 SELECT 4 SLICE 6 SIN 1 TRANSPOSE_CONV 4 SPARSE_TO_DENSE 3 TILE 3
EXPAND_DIMS 1 EQUAL 4 NOT_EQUAL 3 LOG 1 SUM 2 SQRT 1 RSQRT 2 SHAPE 1 POW 1 ARG_MIN 3 FAKE_QUANT 2 REDUCE_PROD 2
REDUCE_MAX 3 PACK 4 LOGICAL_OR 1 ONE_HOT 1 LOGICAL_AND 1 LOGICAL_NOT 1 UNPACK 4 REDUCE_MIN 3 FLOOR_DIV 3 REDUCE_ANY 1
SQUARE 1 ZEROS_LIKE 1 FILL 4 FLOOR_MOD 2 RANGE 2 RESIZE_NEAREST_NEIGHBOR 4 LEAKY_RELU 2 SQUARED_DIFFERENCE 2
MIRROR_PAD 3 ABS 5 SPLIT_V 2 UNIQUE 1 CEIL 1 REVERSE_V2 3 ADD_N 1 GATHER_ND 4 COS 1 WHERE 2 RANK 1 ELU 1
REVERSE_SEQUENCE 1 MATRIX_DIAG 1 QUANTIZE 3 MATRIX_SET_DIAG 1 ROUND 1 HARD_SWISH 1 IF 1 WHILE 1
NON_MAX_SUPPRESSION_V4 1 NON_MAX_SUPPRESSION_V5 1 SCATTER_ND 1 SELECT_V2 2 DENSIFY 1 SEGMENT_SUM 1 BATCH_MATMUL 4
PLACEHOLDER_FOR_GREATER_OP_CODES 0 CUMSUM 1 CALL_ONCE 1 BROADCAST_TO 3 RFFT2D 1 CONV_3D 1 IMAG 1 REAL 1 COMPLEX_ABS 1
HASHTABLE 1 HASHTABLE_FIND 1 HASHTABLE_IMPORT 1 HASHTABLE_SIZE 1 REDUCE_ALL 1 CONV_3D_TRANSPOSE 1 VAR_HANDLE 1
READ_VARIABLE 1 ASSIGN_VARIABLE 1 BROADCAST_ARGS 1 RANDOM_STANDARD_NORMAL 1 BUCKETIZE 1 RANDOM_UNIFORM 1 MULTINOMIAL 1
GELU 2 DYNAMIC_UPDATE_SLICE 1 RELU_0_TO_1 1 UNSORTED_SEGMENT_PROD 1 UNSORTED_SEGMENT_MAX 1 UNSORTED_SEGMENT_SUM 1
ATAN2 1 UNSORTED_SEGMENT_MIN 1 SIGN 2 BITCAST 1 BITWISE_XOR 1 RIGHT_SHIFT 1
"""
OLD = tuple((name, int(version)) for name, version in re.findall(r"(\w+) (\d+)", _OLD))
"""Built-in operators by their code: name, and the newest version in tflite-runtime 2.14, 0 if it has none.

Found by offering each version of each operator to its wheel.
"""


@dataclass(frozen=True)
class Operator:
    """An operator that a model uses."""

    name: str
    version: int
    old: bool
    """Whether tflite-runtime 2.14 has it in this version."""

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


@dataclass(frozen=True)
class Needs:
    """What a model asks of its runtime."""

    operators: tuple[Operator, ...]
    """Sorted by name."""
    per_channel_dynamic: bool
    """Whether a fully connected layer has float activations and int8 weights with a scale for each channel.

    tflite-runtime 2.14 loads such a layer and answers with values that have nothing to do with it: an error as large as
    the answer, against 0.004 in ai-edge-litert; one scale for the whole layer, and convolutions, are right in both.
    """

    @property
    def fault(self) -> str | None:
        """Return why tflite-runtime 2.14 cannot run the model, None if it can."""
        newer = [str(operator) for operator in self.operators if not operator.old]
        if newer:
            return f"it has no {', '.join(newer)}"
        return "it computes dynamic-range fully connected layers wrongly" if self.per_channel_dynamic else None

    @property
    def runtime(self) -> str:
        """Return the runtimes that can run the model, in words."""
        return (
            f"ai-edge-litert (not tflite-runtime 2.14: {self.fault})"
            if self.fault
            else "ai-edge-litert, tflite-runtime 2.14"
        )


def read_needs(path: FilePath) -> Needs:
    """Return what a TFLite file asks of its runtime.

    Raises:
        ModelFileError: the file cannot be read or is not a TFLite model.
    """
    with open_tflite(path) as (model, _):
        codes = model.tables(OPERATOR_CODES)
        operators = {_operator(code) for code in codes}
        graphs = model.tables(SUBGRAPHS)
        return Needs(
            tuple(sorted(operators, key=lambda operator: (operator.name, operator.version))),
            any(_is_per_channel_dynamic(graph, operator, codes) for graph in graphs for operator in graph.tables(3)),
        )


UNCHANGING = frozenset(
    ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE", "MINIMUM", "MAXIMUM")
    + ("SLICE", "STRIDED_SLICE", "GATHER", "MEAN")
)
"""Operators behind which an output means what it meant before; the first input is what passes through."""


def last_operator(path: FilePath, tensor: int) -> str:
    """Return the operator that a tensor of the first graph comes from, those left out that change none of its meaning.

    "" if it comes from none: from an input, or from a constant.

    Raises:
        ModelFileError: the file cannot be read or is not a TFLite model.
    """
    with open_tflite(path) as (model, _):
        names = [_operator(code).name for code in model.tables(OPERATOR_CODES)]
        made: dict[int, tuple[str, int]] = {}
        for operator in model.element(SUBGRAPHS, 0).tables(3):
            index, inputs = operator.number(0, "I", 0), operator.integers(1)
            name = names[index] if index < len(names) else ""
            made |= dict.fromkeys(operator.integers(2), (name, inputs[0] if inputs else -1))
        seen = set[int]()
        while tensor in made and tensor not in seen:
            seen.add(tensor)
            name, tensor = made[tensor]
            if name not in UNCHANGING:
                return name
        return ""


def output_places(path: FilePath, name: str) -> tuple[int, ...] | None:
    """Return for each output of an operator its number among those of the graph, from 0, or -1 where it is none.

    None if the graph has no operator of this name.

    Raises:
        ModelFileError: the file cannot be read or is not a TFLite model.
    """
    with open_tflite(path) as (model, _):
        names = [_operator(code).name for code in model.tables(OPERATOR_CODES)]
        graph = model.element(SUBGRAPHS, 0)
        given = graph.integers(OUTPUTS)
        for operator in graph.tables(3):
            index = operator.number(0, "I", 0)
            if index < len(names) and names[index] == name:
                return tuple(given.index(each) if each in given else -1 for each in operator.integers(2))
        return None


def _code(entry: Table) -> int:
    """Return the number of an operator: files of before 2020 have it in one byte."""
    return max(entry.number(0, "b", 0), entry.number(3, "i", 0))


def _operator(entry: Table) -> Operator:
    code, version = _code(entry), entry.number(2, "i", 1)
    if code == CUSTOM:
        return Operator(entry.string(1), version, old=True)
    name, newest = OLD[code] if 0 <= code < len(OLD) else (f"operator {code}", 0)
    return Operator(name, version, version <= newest)


def _is_per_channel_dynamic(graph: Table, operator: Table, codes: list[Table]) -> bool:
    """Tell whether an operator (its code's index in field 0, its inputs in 1) is such a fully connected layer."""
    index, inputs = operator.number(0, "I", 0), operator.integers(1)
    if index >= len(codes) or _code(codes[index]) != FULLY_CONNECTED or len(inputs) < 2:
        return False
    given, weights = (graph.element(0, place) for place in inputs[:2])
    scales = weights.table(4)
    types = (given.number(1, "b", FLOAT32), weights.number(1, "b", FLOAT32))
    return types == (FLOAT32, INT8) and scales is not None and scales.count(2) > 1
