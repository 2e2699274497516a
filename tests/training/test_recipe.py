"""Schedules and their options."""

from dataclasses import asdict

import pytest

from edgevit.errors import OptionError
from edgevit.training.recipe import Recipe, differences
from edgevit.training.schedule import default_sizes, parse_sizes


def test_sizes_are_read_in_order() -> None:
    assert parse_sizes("96*20,224*0.5") == ((96, 20.0), (224, 0.5))


@pytest.mark.parametrize("text", ["", "96", "96*a", "96*1*2", "96*1;224*1", "9.6*1"])
def test_sizes_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected SIZE\*EPOCHS"):
        parse_sizes(text)


def test_phases_follow_each_other_without_gap() -> None:
    recipe = Recipe(sizes=((64, 2), (96, 0.5), (224, 0.001)), batch=10)
    assert list(recipe.phases(100)) == [((64, 64), range(20)), ((96, 96), range(20, 25)), ((224, 224), range(25, 26))]
    assert recipe.total_steps(100) == 26
    assert recipe.final_size == (224, 224)


def test_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    recipe = Recipe(sizes=((64, 10),), batch=10, learning_rate=0.4, warmup_epochs=1)
    rates = [recipe.rate(step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.04 * (i + 1) for i in range(10)])
    assert rates[10] == pytest.approx(0.4)
    assert rates[55] == pytest.approx(0.2)  # half way down the cosine
    assert rates[100] == pytest.approx(0)


def test_two_thirds_of_the_default_epochs_are_at_half_the_size() -> None:
    assert default_sizes(224, 60, progressive=True) == ((128, 40.0), (224, 20.0))
    assert default_sizes(224, 15, progressive=False) == ((224, 15),)
    assert default_sizes(32, 6, progressive=True) == ((32, 6),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ((100, 1.0),)}, "image size 100 is not possible; expected a multiple of 32"),
        ({"sizes": ((64, 0.0),)}, "0 epochs at 64 pixels"),
        ({"batch": 1}, "batch= is 1, expected a whole number, 2 or more"),
        ({"learning_rate": 0.0}, "learning_rate=0 is not possible"),
        ({"weight_decay": -1.0}, "weight_decay= is -1.0, expected a number, 0 or more"),
        ({"warmup_epochs": -1.0}, "warmup_epochs= is -1.0"),
        ({"ema_decay": 1.0}, "ema_decay=1 is not"),
        ({"seed": -1}, "seed= is -1"),
        ({"seed": 10**22}, f"seed= is {10**22}, expected a whole number from 0 to 9223372036854775807"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Recipe(**{"sizes": ((64, 1.0),), **options})  # type: ignore[arg-type]


def test_changed_options_are_named() -> None:
    old, new = Recipe(sizes=((64, 1.0),)), Recipe(sizes=((64, 1.0),), seed=3, batch=8)
    assert differences(asdict(old), asdict(new)) == "batch was 128, now 8, seed was 0, now 3"
    assert differences(asdict(old), asdict(old)) == ""
