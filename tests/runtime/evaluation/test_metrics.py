"""Figures of merit on tables small enough to add up by hand."""

import numpy as np
import pytest

from edgevit.runtime.evaluation.metrics import (
    BINS,
    calibration_table,
    class_accuracy,
    confusion_table,
    expected_calibration_error,
    hits_in_top,
    power_table,
    sqnr_db,
)


def test_confusion_has_classes_in_rows_and_answers_in_columns() -> None:
    table = confusion_table(np.array([0, 0, 0, 1]), np.array([0, 2, 2, 1]), 3)
    assert table.tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 0]]
    assert class_accuracy(table) == (1 / 3, 1.0, None)


def test_top_k_counts_ranks_and_the_lower_index_wins_a_tie() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]], np.float32)
    labels = np.array([1, 2, 0, 1])
    assert hits_in_top(probabilities, labels, 1) == 1
    assert hits_in_top(probabilities, labels, 2) == 3
    assert hits_in_top(probabilities, labels, 3) == 4


def test_calibration_error_is_the_distance_of_confidence_from_accuracy() -> None:
    """Two of four right at 0.95, so 0.45 too sure; both right at 0.7, so 0.3 not sure enough."""
    confidences = np.array([0.95] * 4 + [0.7] * 2, np.float32)
    right = np.array([True, True, False, False, True, True])
    table = calibration_table(confidences, right)
    assert expected_calibration_error(table) == pytest.approx((4 * 0.45 + 2 * 0.3) / 6)


def test_errors_of_one_bin_may_cancel_but_not_those_of_two() -> None:
    """Half right at 0.5 and 0.499 in the bin up to 8/15; in two bins, one right at 0.9 and one wrong at 0.1."""
    same = calibration_table(np.array([0.5, 0.5], np.float32), np.array([True, False]))
    assert expected_calibration_error(same) == pytest.approx(0)
    apart = calibration_table(np.array([0.1, 0.9], np.float32), np.array([True, False]))
    assert expected_calibration_error(apart) == pytest.approx(0.9)


def test_bins_hold_their_upper_edge() -> None:
    table = calibration_table(np.array([0.0, 1 / BINS, 1.001 / BINS, 1.0], np.float32), np.array([True] * 4))
    assert table[:, 0].tolist() == [2, 1, *[0] * (BINS - 3), 1]


def test_tables_of_parts_add_up_to_that_of_the_whole() -> None:
    random = np.random.default_rng(0)
    confidences, right = random.random(100, np.float32), random.random(100) < 0.6
    parts = [calibration_table(confidences[i::3], right[i::3]) for i in range(3)]
    assert np.allclose(np.sum(parts, axis=0), calibration_table(confidences, right))


def test_sqnr_of_a_tenth_of_the_amplitude_is_20_db() -> None:
    reference = np.array([[3.0, -4.0]], np.float32)
    assert sqnr_db(power_table(reference, reference * np.float32(1.1))) == pytest.approx(20, abs=1e-4)


def test_sqnr_of_equal_values_or_of_silence_is_no_number() -> None:
    values = np.array([[3.0, -4.0]], np.float32)
    assert sqnr_db(power_table(values, values)) is None
    assert sqnr_db(power_table(np.zeros_like(values), values)) is None
