"""Pictures that are not fit to be judged: made ones, whose measures are known."""

import math
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.image_quality import ImageQuality, change, measure
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.quality_alarms import HealthRules, HealthState, next_health
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment

Image = NDArray[np.uint8]
DAY_S = 86400.0


def gray(level: int, size: tuple[int, int] = (240, 320)) -> Image:
    return np.full((*size, 3), level, np.uint8)


def scene(seed: int = 0, noise: float = 2.0, size: tuple[int, int] = (240, 320)) -> Image:
    """A sharp pattern, with a sensor's noise that is another in each picture."""
    y, x = np.mgrid[: size[0], : size[1]]
    pattern = 80 + 80.0 * ((x // 8 + y // 8) % 2)
    noisy = pattern + np.random.default_rng(seed).normal(0, noise, pattern.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def alarms(pictures: list[Image], step_s: float = 1.0, wall_s: float = 1e9) -> list[tuple[int, str, bool]]:
    """Return (number of the picture, kind, active) of each event."""
    watch = Watch(LabelRules(), HealthRules())
    found: list[tuple[int, str, bool]] = []
    for number, picture in enumerate(pictures):
        # halfway through, the clock is set back by a day: which must not matter
        wall = wall_s + number * step_s - DAY_S * (number > len(pictures) // 2)
        events: tuple[Event, ...] = watch.look(picture, Moment("pen", number, number * step_s, wall))
        found += [(number, event.kind, event.facts["active"]) for event in events]
    return found


def test_brightness_of_a_plain_picture_is_its_level() -> None:
    assert measure(gray(51)).brightness == pytest.approx(0.2)


def test_brightness_weighs_colours_as_the_eye_does() -> None:
    """ITU-R BT.601: 0.299 of red, 0.587 of green, 0.114 of blue."""
    shares = (0.299, 0.587, 0.114)
    for channel, share in enumerate(shares):
        picture = gray(0)
        picture[..., channel] = 255
        assert measure(picture).brightness == pytest.approx(share, abs=1 / 255)


def test_sharpness_of_a_single_dot_is_what_the_formula_gives() -> None:
    picture = gray(0, (32, 32))
    picture[16, 16] = 255
    # the Laplacian is -4 * 255 at the dot and 255 at its four neighbours; its mean over 1024 pixels is 0
    assert measure(picture).sharpness == pytest.approx((16 + 4) * 255**2 / 1024)


def test_sharpness_does_not_depend_on_the_cameras_resolution() -> None:
    small = scene(noise=0)
    large = cv2.resize(small, (1280, 960), interpolation=cv2.INTER_NEAREST)
    assert measure(np.asarray(large, np.uint8)).sharpness == pytest.approx(measure(small).sharpness, rel=0.01)


def test_change_is_the_mean_difference() -> None:
    assert change(measure(gray(10)).sample, measure(gray(61)).sample) == pytest.approx(0.2)
    assert change(measure(gray(10)).sample, measure(gray(10, (100, 100))).sample) == 1


def test_a_sensors_noise_is_seen_whatever_the_resolution() -> None:
    for size in ((240, 320), (960, 1280)):
        moved = change(measure(scene(1, 1.0, size)).sample, measure(scene(2, 1.0, size)).sample)
        assert moved == pytest.approx(2 / math.sqrt(math.pi) / 255, rel=0.1)


def test_healthy_pictures_raise_nothing() -> None:
    assert alarms([scene(seed) for seed in range(20)]) == []


def test_dark_picture_is_an_alarm_once_it_lasts_and_ends() -> None:
    dark = [np.asarray(scene(seed) // 20, np.uint8) for seed in range(10)]
    assert alarms([scene(0), scene(1), *dark, *(scene(seed) for seed in range(20, 26))]) == [
        (5, "too_dark", True),
        (15, "too_dark", False),
    ]


def test_picture_that_is_dark_for_a_moment_raises_nothing() -> None:
    assert alarms([scene(0), gray(0), gray(1), scene(3), gray(0), gray(1), scene(6)]) == []


def test_bright_picture_is_an_alarm() -> None:
    bright = [np.asarray(245 + scene(seed) // 20, np.uint8) for seed in range(10)]
    assert alarms(bright) == [(3, "too_bright", True)]


def test_blurred_picture_is_an_alarm_but_a_dark_one_is_only_dark() -> None:
    blurred = [np.asarray(cv2.GaussianBlur(scene(seed), (0, 0), 12), np.uint8) for seed in range(6)]
    pictures = [
        np.clip(picture.astype(int) + number % 2 * 2, 0, 255).astype(np.uint8) for number, picture in enumerate(blurred)
    ]
    assert alarms(pictures) == [(3, "blurred", True)]
    assert [kind for _, kind, _ in alarms([gray(number % 2 * 2) for number in range(6)])] == ["too_dark"]


def test_frozen_picture_is_an_alarm_and_ends_with_the_first_that_moves() -> None:
    pictures = [scene(0), *[scene(1)] * 14, scene(2), scene(3)]
    # the same since picture 2, for 10 s at picture 12
    assert alarms(pictures) == [(12, "frozen", True), (15, "frozen", False)]


def test_limits_at_which_nothing_would_hold_are_refused() -> None:
    with pytest.raises(OptionError, match="the limits of bright leave no room"):
        HealthRules(bright=(0.9, 0.95))


@pytest.mark.parametrize("name", ["dark", "blurred"])
def test_limits_that_are_turned_round_are_named(name: str) -> None:
    turned: dict[str, Any] = {name: (0.5, 0.25)}
    with pytest.raises(OptionError, match=f"^the limits of {name} leave no room: it would begin and end at once"):
        HealthRules(**turned)
    # one limit for both is allowed
    one: dict[str, Any] = {name: (0.5, 0.5)}
    assert getattr(HealthRules(**one), name) == (0.5, 0.5)


@pytest.mark.parametrize("wrong", [{"frozen_change": 1.5}, {"hold_s": -1.0}, {"frozen_s": -1.0}])
def test_rules_outside_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(wrong))}="):
        HealthRules(**wrong)


def test_limits_of_one_source_do_not_touch_another() -> None:
    watch = Watch(LabelRules(), HealthRules(hold_s=1))
    found: list[Event] = []
    for second in range(4):
        found += watch.look(gray(second), Moment("dark", second, second, second))
        found += watch.look(scene(second), Moment("fine", second, second, second))
    assert [(event.moment.source, event.kind) for event in found] == [("dark", "too_dark")]


def test_health_is_measured_once_a_second_at_most() -> None:
    watch = Watch(LabelRules(), HealthRules(hold_s=0))
    times = [0.0, 0.5, 0.99, 1.0]
    seen = [len(watch.look(gray(0), Moment("pen", n, time, time))) for n, time in enumerate(times)]
    assert seen == [1, 0, 0, 0]


def test_gap_forgets_since_when_a_condition_lasts() -> None:
    watch = Watch(LabelRules(), HealthRules(hold_s=2))
    found = list(watch.look(gray(0), Moment("pen", 0, 0, 0)))
    watch.gap("pen")
    found += watch.look(gray(0), Moment("pen", 1, 3600, 3600))
    assert found == []
    assert [event.kind for event in watch.look(gray(2), Moment("pen", 2, 3602, 3602))] == ["too_dark"]


# ------------------------------------------------------------------ both sides of each hysteresis

FIT = {"brightness": 0.5, "sharpness": 100.0}


def health_events(measured: Iterable[ImageQuality], rules: HealthRules | None = None) -> list[Event]:
    """Return the events of pictures of which one comes each second."""
    state = HealthState()
    found: list[Event] = []
    for second, quality in enumerate(measured):
        state, events = next_health(rules or HealthRules(), state, quality, Moment("pen", second, second, second))
        found += events
    return found


def readings(figure: str, *values: float) -> list[ImageQuality]:
    """Return measures of pictures that move, of which one figure is given."""
    samples = (np.full((4, 4), second % 2 * 9, np.uint8) for second in range(len(values)))
    return [ImageQuality(**{**FIT, figure: value}, sample=s) for value, s in zip(values, samples, strict=True)]


HYSTERESES = [
    # (kind, what is measured, beyond the limit, between the two limits, back), (limit to enter, limit to leave)
    ("too_dark", "brightness", (0.05, 0.07, 0.09), (0.06, 0.08)),
    ("too_bright", "brightness", (0.95, 0.93, 0.91), (0.94, 0.92)),
    ("blurred", "sharpness", (19.0, 25.0, 31.0), (20.0, 30.0)),
]


@pytest.mark.parametrize(("kind", "figure", "values", "limits"), HYSTERESES)
def test_alarm_begins_at_one_limit_and_ends_at_the_other(
    kind: str, figure: str, values: tuple[float, float, float], limits: tuple[float, float]
) -> None:
    beyond, between, back = values
    events = health_events(readings(figure, *[beyond] * 4, *[between] * 10, *[back] * 5))
    assert [(event.kind, event.moment.monotonic_s, event.facts["active"]) for event in events] == [
        (kind, 3, True),
        (kind, 17, False),
    ]
    assert [(event.facts["value"], event.facts["limit"]) for event in events] == [
        (beyond, limits[0]),
        (back, limits[1]),
    ]


@pytest.mark.parametrize(("kind", "figure", "values", "limits"), HYSTERESES)
def test_picture_just_at_the_limit_is_fit(
    kind: str, figure: str, values: tuple[float, float, float], limits: tuple[float, float]
) -> None:
    assert health_events(readings(figure, *[limits[0]] * 10)) == []


@pytest.mark.parametrize(("kind", "figure", "values", "limits"), HYSTERESES)
def test_between_the_limits_nothing_begins(
    kind: str, figure: str, values: tuple[float, float, float], limits: tuple[float, float]
) -> None:
    beyond, between, _ = values
    assert health_events(readings(figure, *[between] * 20)) == []
    # and it counts as fit: what was beyond before it begins anew
    assert health_events(readings(figure, *[beyond] * 3, between, *[beyond] * 3)) == []


@pytest.mark.parametrize(("kind", "figure", "values", "limits"), HYSTERESES)
def test_alarm_goes_on_until_it_is_over_for_good(
    kind: str, figure: str, values: tuple[float, float, float], limits: tuple[float, float]
) -> None:
    beyond, between, back = values
    events = health_events(readings(figure, *[beyond] * 4, *[back] * 3, between, *[back] * 4))
    assert [(event.moment.monotonic_s, event.facts["active"]) for event in events] == [(3, True), (11, False)]


def test_picture_that_changes_slowly_is_not_frozen() -> None:
    """Each second 128 of 1000 samples rise by a level, 0.0005 on average: less than a change, two of them more."""
    sample, measured = np.full(1000, 50, np.uint8), []
    for second in range(30):
        sample = sample.copy()
        sample[np.arange(128 * second, 128 * (second + 1)) % 1000] += 1
        measured.append(ImageQuality(**FIT, sample=sample[None]))
    assert health_events(measured) == []
    assert [event.kind for event in health_events(measured, HealthRules(frozen_change=1.0))] == ["frozen"]


def test_change_of_just_the_limit_is_none() -> None:
    """Half of the samples change by 51 of 255 levels: a mean change of 0.1."""
    still, moved = np.zeros((2, 2), np.uint8), np.array([[51, 0], [51, 0]], np.uint8)
    measured = [ImageQuality(**FIT, sample=still if second % 2 else moved) for second in range(8)]
    rules = HealthRules(frozen_change=0.1, frozen_s=4.0)
    events = health_events(measured, rules)
    # the same since the second picture
    assert [(event.kind, event.moment.monotonic_s) for event in events] == [("frozen", 5)]
    assert events[0].facts == {"active": True, "value": 0.1, "limit": 0.1}
    assert health_events(measured, HealthRules(frozen_change=0.0999, frozen_s=4.0)) == []


def test_picture_that_is_dark_and_frozen_is_told_as_both() -> None:
    measured = [ImageQuality(0.01, 0.0, np.zeros((2, 2), np.uint8)) for _ in range(5)]
    events = health_events(measured, HealthRules(frozen_s=3.0))
    assert [(event.kind, event.moment.monotonic_s) for event in events] == [("too_dark", 3), ("frozen", 4)]


def test_value_of_an_alarm_has_six_digits() -> None:
    events = health_events(readings("brightness", *[0.0123456789] * 4))
    assert events[0].facts["value"] == 0.012346


def test_picture_that_changes_by_just_the_limit_each_second_is_not_frozen() -> None:
    """From the picture before it is 0.1, from the one before that 0.2: what stands still does not walk away."""
    measured = [ImageQuality(**FIT, sample=np.array([[51 * second, 0]] * 2, np.uint8)) for second in range(6)]
    assert health_events(measured, HealthRules(frozen_change=0.1, frozen_s=3.0)) == []


# ------------------------------------------------------------------ what is picked and what is averaged


def striped(size: tuple[int, int], step: int) -> Image:
    """Every step-th row and column is 200, which are those that are picked; all else is 0."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[::step, ::step] = 200
    return picture


@pytest.mark.parametrize(
    ("size", "step", "sample"),
    [
        ((7, 639), 1, (7, 639)),
        ((7, 640), 2, (4, 320)),
        ((9, 959), 2, (5, 480)),
        ((9, 960), 3, (3, 320)),
        ((5, 3), 1, (5, 3)),
    ],
)
def test_samples_are_picked_from_each_side_alike(size: tuple[int, int], step: int, sample: tuple[int, int]) -> None:
    quality = measure(striped(size, step))
    assert quality.sample.shape == sample
    assert (quality.sample == 200).all()
    assert quality.sample.flags.c_contiguous


def test_picture_is_averaged_to_320_pixels_across_before_it_is_measured() -> None:
    # one dot of 240 in each block of 4 x 4 pixels is 15 everywhere, and nothing has an edge
    picture = np.zeros((60, 1280, 3), np.uint8)
    picture[::4, ::4] = 240
    quality = measure(picture)
    assert quality.brightness == pytest.approx(15 / 255)
    assert quality.sharpness == 0


def test_dot_of_a_large_picture_is_measured_in_the_proportions_that_it_has() -> None:
    # two pixels each way make one: 640 x 90 becomes 320 x 45
    picture = np.zeros((90, 640, 3), np.uint8)
    picture[40:42, 100:102] = 255
    quality = measure(picture)
    assert quality.brightness == pytest.approx(1 / (320 * 45))
    assert quality.sharpness == pytest.approx((16 + 4) * 255**2 / (320 * 45))


def test_picture_that_is_all_but_a_line_is_measured() -> None:
    picture = np.full((2, 5000, 3), 60, np.uint8)
    picture[1] = 144
    # both rows become one, of their mean 102, in which nothing has an edge
    quality = measure(picture)
    assert quality.brightness == pytest.approx(0.4)
    assert quality.sharpness == 0
    assert quality.sample.shape == (1, 334)
