"""What is left out of a recipe depends on the number of images; what is given stays."""

from dataclasses import replace
from typing import Any

import pytest

from edgevit.errors import OptionError
from edgevit.models.zoo.registry import get_spec
from edgevit.training.defaults import Choices, choose_batch, choose_ema_decay, choose_rate
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Schedule

SPEC = get_spec("efficientvit_b0")
"""Whose input is 224 pixels in height and width."""


@pytest.mark.parametrize(
    ("images", "batch"), [(2, 8), (60, 8), (239, 8), (264, 16), (480, 32), (1919, 64), (1920, 128), (50_000, 128)]
)
def test_an_epoch_has_fifteen_steps_where_the_batch_allows_it(images: int, batch: int) -> None:
    assert choose_batch(images) == batch
    assert images < 15 * 8 or images / batch >= 15


def test_averaged_weights_look_back_a_tenth_of_the_run_and_at_most_500_steps() -> None:
    assert choose_ema_decay(80) == 0.875  # 8 steps
    assert choose_ema_decay(1000) == 0.99  # 100 steps
    assert choose_ema_decay(5000) == choose_ema_decay(1e6) == 0.998  # 500 steps
    assert choose_ema_decay(1) == 0.5  # never less than 2


def test_a_short_fine_tuning_learns_up_to_twice_as_fast() -> None:
    assert choose_rate(80, True) == 0.001
    assert choose_rate(250, True) == 0.00071  # 0.0005 * sqrt(2)
    assert choose_rate(500, True) == choose_rate(10_000, True) == 0.0005
    assert choose_rate(80, False) == 0.002


def test_defaults_are_said_in_one_line_and_given_options_are_not() -> None:
    recipe, said = Choices(Schedule(epochs=5, imgsz=64), ema_decay=0.9).fill(264, SPEC, fine_tuning=True, freeze=False)
    assert (recipe.sizes, recipe.batch, recipe.ema_decay, recipe.warmup_epochs) == (((64, 5.0),), 16, 0.9, 0.5)
    assert recipe.augmentation == "moderate"
    assert said.startswith("for 264 images, 16 steps an epoch: --batch 16 --learning-rate ")
    assert said.endswith(" --warmup-epochs 0.5 --augmentation moderate")
    assert "\n" not in said


def test_given_options_win() -> None:
    given = Choices(Schedule(epochs=15), 128, 0.01, 2.0, 0.5, "light")
    recipe, said = given.fill(264, SPEC, fine_tuning=True, freeze=False, seed=3)
    assert said == ""
    assert recipe == Recipe(((224, 15.0),), 128, 0.01, warmup_epochs=2.0, ema_decay=0.5, augmentation="light", seed=3)


def test_a_run_that_goes_on_keeps_what_it_began_with() -> None:
    began = Recipe(((96, 4.0), (64, 2.0)), 12, 0.003, ema_decay=0.7, augmentation="light", warmup_epochs=0.25)
    assert Choices(Schedule()).continuing(began).fill(9999, SPEC, fine_tuning=False, freeze=False) == (began, "")
    again, said = (
        Choices(Schedule(imgsz=64))
        .continuing(replace(began, sizes=((64, 15.0),)))
        .fill(9, SPEC, fine_tuning=True, freeze=False)
    )
    assert (again.sizes, said) == (((64, 15.0),), "")
    longer, _ = Choices(Schedule(epochs=30)).continuing(began).fill(9999, SPEC, fine_tuning=True, freeze=False)
    assert longer.sizes == ((64, 30.0),)


@pytest.mark.parametrize(("images", "epochs"), [(10, 45), (266, 45), (300, 40), (480, 25), (800, 15), (9999, 15)])
def test_few_images_are_looked_at_twelve_thousand_times_in_all(images: int, epochs: float) -> None:
    recipe, said = Choices(Schedule()).fill(images, SPEC, fine_tuning=True, freeze=False)
    assert recipe.sizes == ((224, epochs),)
    assert f" --epochs {epochs} --batch " in said
    anew, said = Choices(Schedule()).fill(images, SPEC, fine_tuning=False, freeze=False)
    assert (anew.epochs, " --epochs 60 " in said) == (60, True)


@pytest.mark.parametrize("option", ["learning_rate", "weight_decay", "warmup_epochs", "ema_decay"])
def test_a_frozen_run_refuses_what_it_does_not_use(option: str) -> None:
    with pytest.raises(OptionError, match=f"freeze= has no use for {option}="):
        Choices(Schedule(), **{option: 0.5}).fill(264, SPEC, fine_tuning=True, freeze=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", [{"augmentation": "strong"}, {"vertical_flip": True}])
def test_a_frozen_run_of_one_look_refuses_random_changes(option: dict[str, Any]) -> None:
    for once in (Schedule(epochs=1), Schedule(sizes="64*1")):
        with pytest.raises(OptionError, match=f"epochs=1 looks at .* as it is, .* no use for {next(iter(option))}="):
            Choices(once, **option).fill(264, SPEC, fine_tuning=True, freeze=True)
    _, said = Choices(Schedule(epochs=1)).fill(264, SPEC, fine_tuning=True, freeze=True)
    assert "--augmentation" not in said
    # two looks are one as it is and a changed one, and training of all layers changes each
    Choices(Schedule(epochs=2), **option).fill(264, SPEC, fine_tuning=True, freeze=True)
    Choices(Schedule(epochs=1), **option).fill(264, SPEC, fine_tuning=True, freeze=False)


@pytest.mark.parametrize(
    ("schedule", "found"), [(Schedule(sizes="32*2,64*1"), "2 sizes"), (Schedule(epochs=0.5), "0.5 epochs")]
)
def test_a_frozen_run_looks_at_whole_passes_of_one_size(schedule: Schedule, found: str) -> None:
    with pytest.raises(OptionError, match=f"once or more, all at one size, and here are {found}; give imgsz="):
        Choices(schedule).fill(264, SPEC, fine_tuning=True, freeze=True)
    recipe, _ = Choices(Schedule(sizes="64*1")).fill(264, SPEC, fine_tuning=True, freeze=True)
    assert recipe.sizes == ((64, 1.0),)


@pytest.mark.parametrize(
    ("images", "batch", "epochs"), [(20, 8, 100), (50, 8, 100), (205, 8, 39), (500, 8, 30), (4000, 16, 30)]
)
def test_a_detector_takes_about_a_thousand_steps(images: int, batch: int, epochs: float) -> None:
    recipe, said = Choices(Schedule()).fill(images, get_spec("efficientvit_b0_det"), fine_tuning=True, freeze=False)
    assert (recipe.sizes, recipe.batch) == (((320, epochs),), batch)  # 1000 steps of 8 are 8000 / 205 = 39 epochs
    assert (recipe.learning_rate, recipe.warmup_epochs) == (0.002, 3.0)
    assert f"--batch {batch}" in said


def test_a_retinanet_learns_slowly() -> None:
    recipe, _ = Choices(Schedule()).fill(205, get_spec("sbcformer_xs_retinanet"), fine_tuning=True, freeze=False)
    assert recipe.learning_rate == 0.0002
