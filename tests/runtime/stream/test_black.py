"""A camera that shows nothing: never classified, told once."""

import numpy as np

from edgevit.runtime.moment import Moment
from edgevit.runtime.stream.unusable import Blackout, is_black


def test_black_is_what_has_no_level_above_16() -> None:
    image = np.full((480, 640, 3), 16, np.uint8)
    assert is_black(image)
    image[160, 320, 1] = 17
    assert not is_black(image)
    assert is_black(np.zeros((1, 1, 3), np.uint8))


def test_night_with_the_noise_of_a_sensor_is_not_black() -> None:
    noise = np.random.default_rng(1).normal(8, 6, (480, 640, 3))
    assert not is_black(np.clip(noise, 0, 255).astype(np.uint8))


def test_blackout_is_told_once_it_lasts_and_once_it_is_over() -> None:
    blackout, told = Blackout(5.0), []
    for now_s, black in [(0, False), (1, True), (3, True), (4, False), (5, True), (9, True), (10, True), (99, True)]:
        event = blackout.after(black, Moment("pen", now_s, float(now_s), 0.0))
        told += [(now_s, event.kind, event.facts["active"])] if event else []
    assert told == [(10, "too_dark", True)]
    event = blackout.after(False, Moment("pen", 100, 100.0, 0.0))
    assert event is not None
    assert (event.kind, event.facts["active"]) == ("too_dark", False)
    assert blackout.after(False, Moment("pen", 101, 101.0, 0.0)) is None
