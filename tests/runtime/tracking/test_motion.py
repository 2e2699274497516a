"""The filter, against the matrices of a textbook."""

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
