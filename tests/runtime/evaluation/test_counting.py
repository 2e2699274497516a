"""Counts against those of true boxes, on pictures that can be counted by hand."""

import pytest

from edgevit.runtime.detection.boxes import no_truth, nothing_found
from edgevit.runtime.evaluation.counting import judge_counts
from tests.box_scenes import found_boxes, true_boxes

A, B, C, D = ((x, 0, x + 80, 80) for x in (0, 100, 200, 300))
FAR = (400, 400, 500, 500)


def test_error_bias_precision_and_recall_of_two_pictures() -> None:
    """First picture: three there, two right and one wrong; second: one there, nothing at the threshold.

    Counts 3 of 3 and 0 of 1: error (0 + 1) / 2, bias (0 - 1) / 2, though a box is wrong.
    """
    truth = [true_boxes([A, B, C]), true_boxes([A])]
    found = [found_boxes([A, FAR, B], [0.9, 0.8, 0.4]), found_boxes([A], [0.2])]
    counts = judge_counts(truth, found, [0.25]).total
    assert (counts.true, counts.found, counts.error, counts.bias) == (4, 3, 0.5, -0.5)
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == 0.5
    assert counts.f1 == pytest.approx(4 / 7)


def test_all_classes_together_are_the_sum_and_errors_of_two_classes_do_not_cancel() -> None:
    truth = [true_boxes([A, B, C], [0, 0, 1])]
    found = [found_boxes([A, C, D], [0.9, 0.8, 0.7], [0, 1, 1])]
    quality = judge_counts(truth, found, [0.5] * 3)
    first, second, third = quality.per_class
    assert [(one.error, one.bias) for one in quality.per_class] == [(1, -1), (1, 1), (0, 0)]
    assert (quality.total.error, quality.total.bias) == (2, 0)
    assert (first.precision, first.recall, second.precision, second.recall) == (1, 0.5, 0.5, 1)
    assert (third.true, third.found, third.precision, third.recall, third.f1) == (0, 0, None, None, None)


@pytest.mark.parametrize(
    ("third", "best"),
    [(B, 0.16), (D, 0.76)],
    ids=["right: F1 is 4/5 up to 0.3, then 1/2, then 2/3", "wrong: F1 is 2/5 up to 0.3, then 1/2, then 2/3 up to 0.9"],
)
def test_best_threshold_is_the_middle_of_those_with_the_best_f1(third: tuple[int, ...], best: float) -> None:
    """Two are there; found is a right one with 0.9, a wrong one with 0.6, and a third with 0.3."""
    quality = judge_counts([true_boxes([A, B])], [found_boxes([A, FAR, third], [0.9, 0.6, 0.3])], [0.5])
    assert quality.total.best_threshold == best


def test_crowds_are_not_counted() -> None:
    truth = [true_boxes([A, (300, 300, 600, 600)], crowd=[False, True])]
    found = [found_boxes([A, FAR, (310, 310, 340, 340)], [0.9, 0.8, 0.7])]
    counts = judge_counts(truth, found, [0.25]).total
    assert (counts.true, counts.found, counts.error, counts.precision) == (1, 1, 0, 1)


def test_each_class_has_its_own_threshold() -> None:
    truth = [true_boxes([A, B], [0, 1])]
    found = [found_boxes([A, B], [0.5, 0.5], [0, 1])]
    quality = judge_counts(truth, found, [0.4, 0.6])
    assert [one.found for one in quality.per_class] == [1, 0]
    assert (quality.total.found, quality.total.bias, quality.thresholds) == (1, -1, (0.4, 0.6))


def test_score_that_just_reaches_the_threshold_counts() -> None:
    """Though 0.7 of single precision is less than 0.7."""
    assert judge_counts([true_boxes([A])], [found_boxes([A], [0.7])], [0.7]).total.found == 1


def test_empty_pictures_are_counted_right_by_finding_nothing() -> None:
    quality = judge_counts([no_truth(), no_truth()], [nothing_found(), found_boxes([A], [0.9])], [0.25])
    assert (quality.total.error, quality.total.bias, quality.total.recall) == (0.5, 0.5, None)
    assert quality.total.best_threshold is None
