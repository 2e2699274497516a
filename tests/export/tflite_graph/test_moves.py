"""Values that are only moved: the same answers, moved as int8."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.export.tflite_graph.moves import move_int8
from tests.made_tflite import Tiny, answers, kinds

GIVEN = np.random.default_rng(0).standard_normal((1, 4, 6), np.float32)


def quantized(made: Tiny, source: int, scale: float = 0.05) -> int:
    return made.add("QUANTIZE", [source], made.tensor(made.tensors[source].shape, scale, 3))


def dequantized(made: Tiny, source: int) -> int:
    return made.add("DEQUANTIZE", [source], made.tensor(made.tensors[source].shape), version=2)


def test_dequantize_goes_behind_what_moves_values() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    floats = dequantized(made, quantized(made, source))
    turned = made.add("TRANSPOSE", [floats, made.numbers(0, 2, 1)], made.tensor((1, 6, 4)))
    half = made.add("SLICE", [turned, made.numbers(0, 3, 0), made.numbers(1, 3, 4)], made.tensor((1, 3, 4)))
    model = made.model(source, half)
    moved = move_int8(model)
    assert kinds(moved) == ["QUANTIZE", "TRANSPOSE", "SLICE", "DEQUANTIZE"]
    np.testing.assert_array_equal(answers(moved, GIVEN)[0], answers(model, GIVEN)[0])
    # int8 is taken from the second version on
    codes = opened(moved).operatorCodes
    versions = {name: codes[item.opcodeIndex].version for name, item in operators(opened(moved))}
    assert (versions["TRANSPOSE"], versions["SLICE"]) == (2, 2)


def test_quantize_goes_before_what_moves_values_for_all_that_read_them() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    squared = made.add("MUL", [source, source], made.tensor((1, 4, 6)), kind="MulOptions")
    turned = made.add("TRANSPOSE", [squared, made.numbers(0, 2, 1)], made.tensor((1, 6, 4)))
    ends = [quantized(made, turned, scale) for scale in (0.05, 0.05, 0.02)]
    flat = made.add("RESHAPE", [ends[1], made.numbers(1, 24)], made.tensor((1, 24), 0.05, 3))
    model = made.model(source, ends[0], flat, ends[2])
    moved = move_int8(model)
    # the two of one scale are one
    assert sorted(kinds(moved)) == ["MUL", "QUANTIZE", "QUANTIZE", "RESHAPE", "TRANSPOSE", "TRANSPOSE"]
    assert kinds(moved).index("QUANTIZE") < kinds(moved).index("TRANSPOSE")
    for found, expected in zip(answers(moved, GIVEN), answers(model, GIVEN), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_float_stays_where_it_is_read_as_float_too() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    turned = made.add("TRANSPOSE", [source, made.numbers(0, 2, 1)], made.tensor((1, 6, 4)))
    twice = made.add("ADD", [turned, turned], made.tensor((1, 6, 4)), kind="AddOptions")
    model = made.model(source, quantized(made, turned), twice)
    assert move_int8(model) is model


def test_inputs_of_two_scales_are_joined_as_float() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    parts = [dequantized(made, quantized(made, source, scale)) for scale in (0.05, 0.02)]
    joined = made.add("CONCATENATION", parts, made.tensor((1, 8, 6)), kind="ConcatenationOptions", axis=1)
    model = made.model(source, joined)
    assert move_int8(model) is model


def test_a_pair_of_one_scale_is_left_out() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    again = quantized(made, dequantized(made, quantized(made, source)))
    model = made.model(source, dequantized(made, again))
    moved = move_int8(model)
    assert kinds(moved) == ["QUANTIZE", "DEQUANTIZE"]
    np.testing.assert_array_equal(answers(moved, GIVEN)[0], answers(model, GIVEN)[0])


def test_relu_goes_behind_what_moves_its_values() -> None:
    made = Tiny()
    source = made.tensor((1, 4, 6))
    positive = made.add("RELU", [dequantized(made, quantized(made, source))], made.tensor((1, 4, 6)))
    turned = made.add("TRANSPOSE", [positive, made.numbers(0, 2, 1)], made.tensor((1, 6, 4)))
    model = made.model(source, turned)
    moved = move_int8(model)
    assert kinds(moved) == ["QUANTIZE", "TRANSPOSE", "DEQUANTIZE", "RELU"]
    np.testing.assert_array_equal(answers(moved, GIVEN)[0], answers(model, GIVEN)[0])
