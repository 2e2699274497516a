"""Values rounded once, and GELU as a table: within a step of what was computed before."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.roundings import look_up_gelu, round_once
from tests.made_tflite import Tiny, answers, kinds

RANDOM = np.random.default_rng(0)
SHAPE = (1, 4, 6, 8)
GIVEN = RANDOM.uniform(-3, 3, SHAPE).astype(np.float32)
STEP = 0.03
"""The size of a level of the tensor that is there."""


def rounded(made: Tiny, source: int, scale: float, zero: int) -> int:
    return made.add("QUANTIZE", [source], made.tensor(SHAPE, scale, zero))


def floated(made: Tiny, source: int) -> int:
    return made.add("DEQUANTIZE", [source], made.tensor(SHAPE), version=2)


def convolved(made: Tiny, given: int, step: float) -> int:
    """Add a 1x1 convolution that multiplies by 0.25 and adds 0.6."""
    weights = made.tensor((8, 1, 1, 8), [0.01] * 8, values=(25 * np.eye(8)).reshape(8, 1, 1, 8).astype(np.int8))
    bias = made.tensor((8,), [0.01 * step] * 8, values=np.full(8, round(0.6 / (0.01 * step)), np.int32))
    conv = made.tensor(SHAPE, 0.012, -10)
    return floated(
        made,
        made.add(
            "CONV_2D", [given, weights, bias], conv, version=3, kind="Conv2DOptions", padding=1, strideH=1, strideW=1
        ),
    )


def test_layer_reads_what_its_input_was_made_of() -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    values = floated(made, rounded(made, source, STEP, 5))
    model = made.model(source, convolved(made, rounded(made, values, 0.025, -4), 0.025))
    once = round_once(model)
    assert kinds(once) == ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    expected = 0.25 * np.clip(np.round(GIVEN / STEP), -133, 122) * STEP + 0.6
    # half a step of the output
    np.testing.assert_allclose(answers(once, GIVEN)[0], expected, atol=0.0061)


@pytest.mark.parametrize(("steps", "read"), [((0.025, STEP), True), ((0.014, STEP), False)])
def test_layer_reads_a_twin_of_its_input_unless_that_is_much_coarser(steps: tuple[float, float], read: bool) -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    squared = made.add("ADD", [source, source], made.tensor(SHAPE), kind="AddOptions")
    own, other = rounded(made, squared, steps[0], -4), rounded(made, squared, steps[1], 5)
    given, twin = (
        made.add("RESHAPE", [index, made.numbers(*SHAPE)], made.tensor(SHAPE, step, zero))
        for index, step, zero in ((own, steps[0], -4), (other, steps[1], 5))
    )
    model = made.model(source, convolved(made, given, steps[0]), floated(made, twin))
    once = round_once(model)
    assert (once != model) == read
    assert kinds(once).count("QUANTIZE") == (1 if read else 2)
    small = (GIVEN / 4).astype(np.float32)
    before, after = answers(model, small), answers(once, small)
    np.testing.assert_allclose(after[0], before[0], atol=0.25 * STEP + 0.012)
    np.testing.assert_array_equal(after[1], before[1])


def test_gelu_of_int8_is_looked_up_for_float_arithmetic() -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    values = floated(made, rounded(made, source, STEP, 5))
    gelu = made.add("GELU", [values], made.tensor(SHAPE), kind="GeluOptions")
    model = made.model(source, made.add("ADD", [values, gelu], made.tensor(SHAPE), kind="AddOptions"))
    looked_up = look_up_gelu(model)
    assert kinds(looked_up) == ["QUANTIZE", "DEQUANTIZE", "GELU", "QUANTIZE", "DEQUANTIZE", "ADD"]
    # GELU of this input lies in -0.17..3.66, in 255 steps
    np.testing.assert_allclose(answers(looked_up, GIVEN)[0], answers(model, GIVEN)[0], atol=3.83 / 255 / 2 + 1e-4)
    assert look_up_gelu(looked_up) is looked_up


def test_gelu_of_a_float_tensor_and_of_the_last_stay() -> None:
    made = Tiny()
    source = made.tensor(SHAPE)
    gelu = made.add("GELU", [source], made.tensor(SHAPE), kind="GeluOptions")
    last = made.add("GELU", [floated(made, rounded(made, gelu, STEP, 5))], made.tensor(SHAPE), kind="GeluOptions")
    model = made.model(source, last)
    assert look_up_gelu(model) is model
