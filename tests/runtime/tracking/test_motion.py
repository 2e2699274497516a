"""The filter, against the matrices of a textbook."""

import math

import numpy as np
import pytest

from edgevit.runtime.tracking.motion import FIRST_SPEED, MEASURED, SPEED_CHANGE, Motion

BOX = np.array([[10, 20, 50, 40]], np.float32)
"""Centre 30, 30; sides 40 and 20, on average 30."""


def test_first_box_is_taken_as_it_is() -> None:
    motion = Motion.begun(BOX)
    assert motion.boxes.tolist() == BOX.tolist()
    assert motion.side.tolist() == [30]
    assert motion.speed.tolist() == [[0, 0]]


def test_centre_and_speed_are_those_of_a_textbook_filter() -> None:
    motion, side = Motion.begun(BOX), 30.0
    state = np.array([30.0, 0.0])
    covariance = np.diag([(MEASURED * side) ** 2, (FIRST_SPEED * side) ** 2])
    measure, seen_s = np.array([[1.0, 0.0]]), 0.0
    for now_s, x in ((0.1, 34.0), (0.15, 35.0), (1.2, 80.0), (1.3, 82.0)):
        dt, seen_s = now_s - seen_s, now_s
        step = np.array([[1, dt], [0, 1]])
        noise = (SPEED_CHANGE * side) ** 2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        state, covariance = step @ state, step @ covariance @ step.T + noise
        gain = covariance @ measure.T / (measure @ covariance @ measure.T + (MEASURED * side) ** 2)
        state = state + (gain * (x - state[0])).ravel()
        covariance = (np.eye(2) - gain @ measure) @ covariance
        box = np.array([[x - 20, 20, x + 20, 40]], np.float32)
        motion = motion.after(dt).corrected(box, np.array([dt]))
        assert [motion.centre[0, 0], motion.speed[0, 0]] == pytest.approx(state.tolist())
        assert motion.covariance[0].tolist() == pytest.approx([covariance[0, 0], covariance[0, 1], covariance[1, 1]])
        assert motion.centre[0, 1] == pytest.approx(30)


def test_one_long_step_is_as_good_as_many_short_ones() -> None:
    motion = Motion.begun(BOX).after(0.2).corrected(BOX + np.array([4, 0, 4, 0], np.float32), np.array([0.2]))
    long, short = motion.after(1.0), motion
    for _ in range(10):
        short = short.after(0.1)
    assert short.centre.ravel() == pytest.approx(long.centre.ravel())
    assert short.covariance.ravel() == pytest.approx(long.covariance.ravel())


def test_sides_follow_by_half_in_a_tenth_of_a_second() -> None:
    motion = Motion.begun(BOX).after(0.1).corrected(np.array([[0, 20, 60, 40]], np.float32), np.array([0.1]))
    assert motion.sides.tolist() == [[50, 20]]


def test_box_without_extent_has_sides_of_a_pixel() -> None:
    assert Motion.begun(np.array([[5, 5, 5, 4]], np.float32)).sides.tolist() == [[1, 1]]


TWO = np.array([[10, 20, 50, 40], [60, 40, 140, 80]], np.float32)
"""Centres 30, 30 and 100, 60; sides 40 x 20 and 80 x 40, on average 30 and 60."""


@pytest.mark.parametrize(
    ("unseen_s", "sides"),
    [
        (0.1, [50, 30]),
        (0.2, [55, 35]),  # three quarters
        # a third of a tenth counts at least: 1 - 2 ** (-1 / 3) of the 20 more each way
        (0.0, [40 + 20 * 0.2062994740159002, 20 + 20 * 0.2062994740159002]),
        (0.05, [40 + 20 * 0.2928932188134524, 20 + 20 * 0.2928932188134524]),
    ],
)
def test_sides_count_the_more_the_longer_a_thing_was_unseen(unseen_s: float, sides: list[float]) -> None:
    motion = Motion.begun(BOX).corrected(np.array([[0, 10, 60, 50]], np.float32), np.array([unseen_s]))
    assert motion.sides[0].tolist() == pytest.approx(sides)


def test_sides_of_each_thing_follow_by_how_long_it_was_unseen() -> None:
    larger = TWO + np.array([-10, -10, 10, 10], np.float32)
    motion = Motion.begun(TWO).corrected(larger, np.array([0.1, 0.2]))
    np.testing.assert_allclose(motion.sides, [[50, 30], [95, 55]])


def test_distances_are_in_deviations_of_each_thing_and_in_its_sides() -> None:
    places = np.array([[31, 33, 35, 35], [90, 50, 110, 70], [24, 38, 36, 38]], np.float32)
    deviations, sides = Motion.begun(TWO).distances(places)
    # centres 33, 34 and 100, 60 and 30, 38
    pixels = np.array([[5, math.hypot(70, 30), 8], [math.hypot(67, 26), 0, math.hypot(70, 22)]])
    # a twentieth of 30 and of 60, found and guessed alike
    np.testing.assert_allclose(deviations, pixels / np.sqrt([[2 * 1.5**2], [2 * 3.0**2]]))
    np.testing.assert_allclose(sides, pixels / [[30], [60]])


def test_distance_in_deviations_shrinks_with_what_is_known() -> None:
    place = np.array([[30, 30, 40, 30]], np.float32)
    # a second later: 1.5 ** 2 + 60 ** 2 + 120 ** 2 / 3
    deviations, sides = Motion.begun(BOX).after(1.0).distances(place)
    assert deviations.tolist() == [[pytest.approx(5 / math.sqrt(2.25 + 3600 + 4800 + 2.25))]]
    assert sides.tolist() == [[pytest.approx(5 / 30)]]


def test_some_are_taken_and_others_joined_with_all_that_is_known() -> None:
    both = Motion.begun(TWO).after(0.5).corrected(TWO + np.array([3, 5, 3, 5], np.float32), np.array([0.5, 0.5]))
    first, second = both.taken(np.array([0])), both.taken(np.array([1]))
    assert first.centre.tolist() != second.centre.tolist()
    turned = second.joined(first)
    for name in ("centre", "speed", "sides", "covariance"):
        np.testing.assert_array_equal(getattr(turned, name), getattr(both, name)[::-1], name)
        np.testing.assert_array_equal(getattr(both.taken(np.array([1, 0])), name), getattr(turned, name), name)
    np.testing.assert_array_equal(turned.boxes, both.boxes[::-1])
    assert turned.boxes.dtype == np.float32


def test_motion_goes_both_across_and_down() -> None:
    motion = Motion.begun(BOX)
    moving = Motion(motion.centre, np.array([[10.0, -20.0]]), motion.sides, motion.covariance).after(0.5)
    assert moving.centre.tolist() == [[35, 20]]
    assert moving.speed.tolist() == [[10, -20]]
    assert moving.boxes.tolist() == [[15, 10, 55, 30]]


def test_centre_is_more_exact_than_the_corners() -> None:
    # no float32 lies between 2 ** 24 and 2 ** 24 + 2
    assert Motion.begun(np.array([[16777216, 0, 16777218, 3]], np.float32)).centre.tolist() == [[16777217, 1.5]]
