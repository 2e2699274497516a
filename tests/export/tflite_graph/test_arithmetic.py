"""Additions, gates and means in int8: within a level of the float arithmetic between the same roundings."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.gates import gate_int8
from edgevit.export.tflite_graph.residuals import add_int8
from tests.made_tflite import Tiny, answers, kinds

RANDOM = np.random.default_rng(0)
SHAPE = (1, 4, 4, 8)
GIVEN = RANDOM.uniform(-2, 2, SHAPE).astype(np.float32)
STEP = 0.05


def rounded(made: Tiny, source: int, scale: float = STEP, zero: int = 0) -> int:
    return made.add("QUANTIZE", [source], made.tensor(made.tensors[source].shape, scale, zero))


def floated(made: Tiny, source: int) -> int:
    return made.add("DEQUANTIZE", [source], made.tensor(made.tensors[source].shape), version=2)


def test_sum_of_two_int8_tensors_is_int8_for_all_that_read_it() -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    sides = [floated(made, rounded(made, source, scale)) for scale in (0.02, 0.03)]
    total = made.add("ADD", sides, made.tensor(SHAPE), kind="AddOptions")
    again = made.add("ADD", [total, sides[0]], made.tensor(SHAPE), kind="AddOptions")
    model = made.model(source, floated(made, rounded(made, total, STEP)), again)
    added = add_int8(model)
    # the second sum is read as float, and stays so
    assert sorted(kinds(added)) == ["ADD"] * 2 + ["DEQUANTIZE"] * 3 + ["QUANTIZE"] * 2
    first, second = answers(added, GIVEN)
    expected = np.round(GIVEN / 0.02) * 0.02 + np.round(GIVEN / 0.03) * 0.03
    np.testing.assert_allclose(first, expected, atol=STEP + 1e-5)
    np.testing.assert_allclose(second, expected + np.round(GIVEN / 0.02) * 0.02, atol=STEP + 1e-5)


def test_sum_with_a_float_side_stays_float() -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    squared = made.add("MUL", [source, source], made.tensor(SHAPE), kind="MulOptions")
    total = made.add("ADD", [squared, floated(made, rounded(made, source))], made.tensor(SHAPE), kind="AddOptions")
    model = made.model(source, rounded(made, total))
    assert add_int8(model) is model


def gated(factor: float) -> tuple[bytes, str]:
    """Return (a + a) * factor * relu6(conv(a)), and the mean of a + a over cells of 2x2; and the sum's name."""
    made = Tiny()
    source = made.tensor(SHAPE)
    given = rounded(made, source)
    total = made.add("ADD", [floated(made, given)] * 2, made.tensor(SHAPE), kind="AddOptions")
    weights = made.tensor((8, 1, 1, 8), [0.01] * 8, values=np.full((8, 1, 1, 8), 25, np.int8))
    bias = made.tensor((8,), [0.01 * STEP] * 8, values=np.full(8, 6000, np.int32))
    gate = made.add(
        "CONV_2D",
        [given, weights, bias],
        made.tensor(SHAPE, 6 / 255, -128),
        version=3,
        kind="Conv2DOptions",
        padding=1,
        strideH=1,
        strideW=1,
        fusedActivationFunction=3,
    )
    constant = made.tensor((), values=np.array(factor, np.float32))
    smaller = made.add("MUL", [floated(made, gate), constant], made.tensor(SHAPE), kind="MulOptions")
    product = made.add("MUL", [total, smaller], made.tensor(SHAPE), kind="MulOptions")
    mean = made.add(
        "AVERAGE_POOL_2D",
        [total],
        made.tensor((1, 2, 2, 8)),
        kind="Pool2DOptions",
        padding=1,
        strideH=2,
        strideW=2,
        filterHeight=2,
        filterWidth=2,
    )
    ends = [floated(made, rounded(made, end, 0.04)) for end in (product, mean)]
    return made.model(source, *ends), f"t{total}"


def test_gate_and_mean_are_int8_from_sum_to_rounding() -> None:
    model, total = gated(1 / 6)
    made = gate_int8(model, {total: (-4.0, 4.0)})
    assert kinds(made).count("DEQUANTIZE") == 2
    assert sorted(kinds(made)) == [
        *("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DEQUANTIZE", "MUL", "QUANTIZE"),
    ]
    a = np.round(GIVEN / STEP) * STEP
    gate = np.clip(0.25 * a.sum(axis=-1, keepdims=True) + 6000 * 0.01 * STEP, 0, 6) / 6
    product, mean = answers(made, GIVEN)
    # a step of the sum (8 / 255), of the gate (1 / 255, times 4), and of the end
    np.testing.assert_allclose(product, 2 * a * gate, atol=(8 + 4) / 255 / 2 + 0.04)
    cells = (2 * a).reshape(1, 2, 2, 2, 2, 8).mean(axis=(2, 4))
    np.testing.assert_allclose(mean, cells, atol=8 / 255 + 0.04)


def test_sum_of_unknown_range_stays_float() -> None:
    model, _ = gated(1 / 6)
    made = gate_int8(model, {})
    # only the factor is in the scales
    assert kinds(made).count("MUL") == 1
    for found, expected in zip(answers(made, GIVEN), answers(model, GIVEN), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.04 + 1e-6)
