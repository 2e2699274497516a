"""Sizes that are no squares: what is written, what the recipe has, and what images become."""

import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.training.augment import AUGMENTATIONS, augment, random_resized_crop
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Schedule, default_sizes, parse_sizes


def test_a_size_is_a_side_or_height_and_width() -> None:
    assert parse_sizes("96x160*20,224*0.5") == (((96, 160), 20.0), (224, 0.5))
    assert Schedule(imgsz=(96, 160)).phases(224, 3.0, progressive=False) == (((96, 160), 3.0),)
    with pytest.raises(OptionError, match=r"expected SIZE\*EPOCHS"):
        parse_sizes("96x160x3*1")


def test_half_of_a_size_is_half_of_each_side() -> None:
    assert default_sizes((128, 320), 6, progressive=True) == (((64, 160), 4.0), ((128, 320), 2.0))


def test_a_recipe_tells_height_and_width_and_writes_a_square_in_one_way() -> None:
    recipe = Recipe(sizes=((64, 1.0), ((96, 160), 1.0)), batch=10)
    assert recipe.final_size == (96, 160)
    assert [size for size, _ in recipe.phases(100)] == [(64, 64), (96, 160)]
    assert Recipe(sizes=(((64, 64), 1.0),)).sizes == ((64, 1.0),)
    assert Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(OptionError, match="image size 96x100 is not possible; expected a multiple of 32"):
        Recipe(sizes=(((96, 100), 1.0),))


def test_images_become_the_size_and_keep_their_proportions_about() -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    assert augment(image, (32, 64), np.random.default_rng(1), AUGMENTATIONS["strong"]).shape == (32, 64, 3)
    # a ramp in both directions: the steps between pixels tell how much each was scaled
    ramp = np.stack(np.meshgrid(np.arange(200), np.arange(100), indexing="xy"), -1).astype(np.uint8)
    ramp = np.concatenate([ramp, ramp[:, :, :1]], -1)
    for seed in range(10):
        crop = random_resized_crop(ramp, (32, 64), np.random.default_rng(seed), area=(0.4, 0.6)).astype(float)
        width, height = (crop[16, -1, 0] - crop[16, 0, 0]), (crop[-1, 32, 1] - crop[0, 32, 1])
        assert 2 * 3 / 4 - 0.15 < width / height < 2 * 4 / 3 + 0.15
