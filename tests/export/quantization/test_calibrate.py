"""Calibration methods, on values whose best range is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.quantization.calibrate import BINS, percentile_range, percentile_ranges, without_zeroed
from edgevit.export.recipe import METHODS, Method


def histogram(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], float, float]:
    counts, _ = np.histogram(values, BINS, (values.min(), values.max()))
    return counts, float(values.min()), float(values.max())


def test_uniform_values_keep_their_whole_range() -> None:
    low, high = percentile_range(*histogram(np.linspace(-1, 3, 200_001)))
    assert (low, high) == pytest.approx((-1, 3), abs=0.06)


def test_a_single_outlier_does_not_widen_the_range_threefold() -> None:
    values = np.append(np.random.default_rng(0).normal(0, 1, 400_000).clip(-4, 4), [12.0, -12.0])
    low, high = percentile_range(*histogram(values))
    assert -8 < low < -2.5
    assert 2.5 < high < 8


def test_percentile_cuts_one_in_ten_thousand_at_each_end() -> None:
    counts = np.zeros(BINS, np.int64)
    counts[[0, -1]] = 1
    counts[1000:1100] = 1000
    low, high = percentile_range(counts, 0.0, float(BINS))
    assert (low, high) == (1000.0, 1100.0)


@pytest.mark.parametrize("method", METHODS)
def test_all_zero_tensor_has_a_range(method: Method) -> None:
    """A dead channel must not divide by zero."""
    ranges = calibrate(relu(), ["image", "y"], lambda: [np.full((1, 3, 2, 2), -1, np.float32)] * 2, method)
    assert ranges["y"] == (0.0, 0.0)
    assert ranges["image"] == (-1.0, -1.0)


@pytest.mark.parametrize("method", METHODS)
def test_method_sees_every_image(method: Method) -> None:
    batches = [np.full((1, 3, 2, 2), value, np.float32) for value in (-2.0, 0.0, 4.0)]
    low, high = calibrate(relu(), ["y"], lambda: batches, method)["y"]
    assert low == pytest.approx(0.0, abs=0.01)
    assert high == pytest.approx(4.0, abs=0.9)


def relu() -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["y"])],
        "relu",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 2, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3, 2, 2))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_what_hardswish_makes_zero_takes_no_levels() -> None:
    ranges = {"to hardswish": (-300.0, 60.0), "narrow": (-2.0, 5.0), "all zero": (-9.0, -4.0), "other": (-300.0, 60.0)}
    assert without_zeroed(ranges, ("to hardswish", "narrow", "all zero")) == {
        "to hardswish": (-3.0, 60.0),
        "narrow": (-2.0, 5.0),
        "all zero": (-3.0, -3.0),
        "other": (-300.0, 60.0),
    }


def test_range_is_cut_within_the_bin_where_a_ten_thousandth_is_passed() -> None:
    # ten bins of 0.5 from 1 to 6: of 20,000 values 2 are a ten-thousandth
    counts = np.array([0, 2, 1, 9994, 0, 10000, 0, 1, 2, 0], np.int64)
    # with 2 just that many are cut off below, as above; the next bin with any belongs to the range
    assert percentile_range(counts, 1.0, 6.0) == (2.0, 5.0)
    counts[[1, 2, 7, 8]] = 3, 0, 0, 3
    assert percentile_range(counts, 1.0, 6.0) == (1.5, 5.5)


def test_values_of_all_batches_are_counted_in_the_bins_of_their_tensor() -> None:
    # 2048 bins of 1 / 1024 from -1 to 1, and of 1 / 512 from 0 to 4
    extremes = {"a": (-1.0, 1.0), "b": (0.0, 4.0), "unseen by 9,999 in 10,000": (-8.0, 8.0)}
    spread = np.linspace(-0.5, 0.25, 20_000, dtype=np.float32).reshape(2, 100, 100)
    batches: list[list[tuple[str, NDArray[np.float32]]]] = [
        [("a", spread[0]), ("b", np.full((3, 4), 1.001, np.float32)), ("unseen by 9,999 in 10,000", spread)],
        [("b", np.full((5, 1), 3.001, np.float32)), ("a", spread[1]), ("unseen by 9,999 in 10,000", spread)],
    ]
    batches[0].append(("a", np.array([-1.0, 1.0], np.float32)))
    ranges = percentile_ranges(extremes, batches)
    assert list(ranges) == list(extremes)
    # a bin more at the upper end, as its edge is meant
    assert ranges["a"] == pytest.approx((-0.5, 0.25), abs=2 / 1024)
    assert ranges["b"] == (1.0, 3.001953125)
    assert ranges["unseen by 9,999 in 10,000"] == pytest.approx((-0.5, 0.25), abs=2 / 128)


def test_largest_value_belongs_to_the_last_bin_and_one_beyond_too() -> None:
    # two of each: none is a ten-thousandth
    values = np.array([-2.0, -2.0, 6.0, 6.0, -2.5, 7.5], np.float32)
    assert percentile_ranges({"a": (-2.0, 6.0)}, [[("a", values)]])["a"] == (-2.0, 6.0)


def test_tensor_of_one_value_keeps_it() -> None:
    ranges = percentile_ranges({"a": (1.5, 1.5)}, [[("a", np.full(9, 1.5, np.float32))]])
    assert ranges["a"] == (1.5, 1.5)
