"""What is asked of a detector after each step of an export, on answers whose boxes are known by arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.errors import GateError
from edgevit.export.tasks.boxes import BoxForm, FloatBoxes, MarkedBoxes
from edgevit.export.verify import check
from edgevit.runtime.detection.boxes import TrueBoxes

SIZE = (32, 64)
FORM = BoxForm(
    BoxOutput("yolox", (32,), boxes="boxes", scores="scores", objectness="objectness"),
    Preprocess(size=SIZE, crop_pct=1.0, crop_mode="letterbox"),
)
SURE, NOT = 9.0, -9.0
CELL = [0.5, 0.5, 0.0, 0.0]
"""A box that is its cell of 32 x 32 pixels."""


def answers(left: float = NOT, right: float = NOT, box: list[float] = CELL) -> NDArray[np.float32]:
    """Return one picture's raw numbers: two cells and two classes, whose first has the logits `left` and `right`."""
    return np.array([[[*box, SURE, left, NOT], [*CELL, SURE, right, NOT]]], np.float32)


def test_equal_answers_keep_every_box() -> None:
    parity = FORM.compare("tracing", answers(SURE, SURE), answers(SURE, SURE))
    assert parity.boxes is not None
    assert (parity.boxes.found, parity.boxes.lost, parity.boxes.new, parity.boxes.shift_px) == (2, 0, 0, 0.0)
    assert (parity.top1_agreement, parity.max_abs) == (1.0, 0.0)
    assert parity.cosine == pytest.approx(1.0)
    check(FORM, parity, "fp32", answers(SURE, SURE), trained=True)


def test_lost_and_new_boxes_are_counted_and_refused() -> None:
    parity = FORM.compare("int8", answers(SURE, NOT), answers(NOT, SURE))
    assert parity.boxes is not None
    assert (parity.boxes.found, parity.boxes.lost, parity.boxes.new) == (1, 1, 1)
    assert parity.top1_agreement == 0.0
    with pytest.raises(GateError, match=r"0\.0% of 1 boxes on 1 images are found again, at least 80% is asked"):
        check(FORM, replace(parity, cosine=1.0), "int8", answers(SURE, NOT), trained=True)


def test_side_may_move_by_a_tenth_of_a_pixel_in_float() -> None:
    """A centre that moves by 1/1000 of a stride of 32 moves both sides by 0.032 pixels; by 4/1000, by 0.128."""
    reference = answers(SURE)
    for share, passes in ((0.001, True), (0.004, False)):
        parity = FORM.compare("tracing", reference, answers(SURE, box=[0.5 + share, 0.5, 0.0, 0.0]))
        assert parity.boxes is not None
        assert parity.boxes.shift_px == pytest.approx(32 * share, abs=1e-4)
        near = replace(parity, max_abs=0.0, cosine=1.0)
        if passes:
            check(FORM, near, "fp32", reference, trained=True)
        else:
            with pytest.raises(GateError, match="a side of a box moves by 0.13 pixels, allowed is 0.1"):
                check(FORM, near, "fp32", reference, trained=True)


def test_score_may_change_by_a_thousandth_in_float() -> None:
    """The sigmoid's slope at 0 is 1/4, so a logit of 0.01 is 0.0025 of the score."""
    reference = answers(0.0)
    parity = FORM.compare("tracing", reference, answers(0.01))
    assert parity.boxes is not None
    assert parity.boxes.score_difference == pytest.approx(0.0025, abs=1e-5)
    with pytest.raises(GateError, match="the score of a box changes by 0.0025, allowed is 0.001"):
        check(FORM, replace(parity, max_abs=0.0, cosine=1.0), "fp32", reference, trained=True)


def test_box_at_the_threshold_is_not_lost_to_rounding() -> None:
    """A score of 0.2501 that becomes 0.2499 is the same box."""
    sure = 1 / (1 + np.exp(-SURE))
    above, below = (float(np.log(p / (1 - p))) for p in (0.2501 / sure, 0.2499 / sure))
    parity = FORM.compare("tracing", answers(above), answers(below))
    assert parity.boxes is not None
    assert (parity.boxes.found, parity.boxes.lost, parity.boxes.new) == (1, 0, 0)


def test_raw_numbers_are_judged_where_nothing_is_found() -> None:
    reference = answers()
    assert FORM.unit(reference) == 1.0  # objectness does not vary at all
    parity = FORM.compare("tracing", reference, reference + np.float32(2e-4))
    assert parity.boxes is not None
    assert parity.boxes.found == 0
    with pytest.raises(GateError, match="raw numbers differ by up to 0.0002, allowed is 0.0001"):
        check(FORM, parity, "fp32", reference, trained=False)


def test_worst_output_decides_on_the_cosine() -> None:
    reference = answers(SURE, SURE)
    found = reference.copy()
    found[..., 4] *= [1, -1]  # of two equal objectnesses one is turned round
    assert FORM.compare("int8", reference, found).cosine == pytest.approx(0.0)


def test_noise_counts_where_something_is() -> None:
    reference = answers(SURE, NOT)
    near_object, elsewhere = reference.copy(), reference.copy()
    near_object[0, 0, 0] += 0.1
    elsewhere[0, 1, 0] += 0.1
    assert FORM.noise(reference, reference) == 0.0
    assert FORM.noise(reference, near_object) > 50 * FORM.noise(reference, elsewhere)


def test_agreement_is_the_share_of_boxes_that_both_find() -> None:
    truth = FloatBoxes(FORM, np.concatenate([answers(SURE, SURE), answers()]))
    assert truth.score(np.concatenate([answers(SURE, SURE), answers()])) == 1.0
    assert truth.score(np.concatenate([answers(SURE, NOT), answers()])) == pytest.approx(1 / 2)
    assert truth.score(np.concatenate([answers(SURE, NOT), answers(SURE)])) == pytest.approx(1 / 3)
    assert truth.part(slice(1, 2)).score(answers()) == 1.0


def test_marked_boxes_are_found_in_pixels_of_their_own_picture() -> None:
    """A picture of twice the input's sides: the left cell is its left half."""
    marked = TrueBoxes(np.array([[0, 0, 64, 64]], np.float32), np.zeros(1, np.int64), np.zeros(1, np.bool_))
    truth = MarkedBoxes(FORM, (marked,), ((64, 128),), 2)
    assert truth.score(answers(SURE)) == pytest.approx(1.0)
    assert truth.score(answers(NOT, SURE)) == pytest.approx(0.0)
    assert truth.identity != MarkedBoxes(FORM, (marked,), ((64, 127),), 2).identity
