"""Training batches: which images, in which order, from any kind of file."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.training.augment import AUGMENTATIONS, augment, random_colour, random_resized_crop, random_sharpness
from edgevit.training.batches import training_batches, training_image, visit_order
from edgevit.training.folders import Samples


def make_samples(folder: Path, count: int) -> Samples:
    """Make grey images whose level and label are their number."""
    paths = []
    for i in range(count):
        paths.append(folder / f"{i}.png")
        cv2.imwrite(str(paths[-1]), np.full((40, 40), i, np.uint8))
    return Samples(tuple(paths), tuple(range(count)), tuple(map(str, range(count))))


def test_every_epoch_visits_every_image_once_in_a_new_order() -> None:
    order = list(islice(visit_order(50, 0, 0), 150))
    epochs = [order[i : i + 50] for i in (0, 50, 100)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert order != list(islice(visit_order(50, 1, 0), 150))


def test_the_order_from_any_position_is_the_rest_of_the_order() -> None:
    order = list(islice(visit_order(7, 3, 0), 40))
    for start in (0, 1, 6, 7, 8, 20):
        assert list(islice(visit_order(7, 3, start), 40 - start)) == order[start:]


def test_a_batch_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 10)
    whole = list(training_batches(samples, (32, 32), 4, range(6), seed=1))
    later = list(training_batches(samples, (32, 32), 4, range(3, 6), seed=1, workers=1))
    for (images, labels), (images_later, labels_later) in zip(whole[3:], later, strict=True):
        np.testing.assert_array_equal(images, images_later)
        np.testing.assert_array_equal(labels, labels_later)
    other, _ = next(iter(training_batches(samples, (32, 32), 4, range(1), seed=2)))
    assert not np.array_equal(whole[0][0], other)


def test_a_batch_larger_than_the_data_is_filled_from_the_next_epochs(tmp_path: Path) -> None:
    images, labels = next(iter(training_batches(make_samples(tmp_path, 3), (32, 32), 9, range(1), seed=0)))
    assert images.shape == (9, 32, 32, 3)
    assert sorted(np.array(labels).tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("shape", [(8, 200), (200, 8), (3000, 4000), (1, 1), (32, 32)])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_of_any_shape_becomes_a_square(tmp_path: Path, shape: tuple[int, int], suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), np.full((*shape, 3), 128, np.uint8))
    image = training_image(path, (64, 64), np.random.default_rng(0))
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_images_become_three_channels(tmp_path: Path, channels: int) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), np.full((40, 40, channels), 100, np.uint8))
    assert training_image(tmp_path / "image.png", (32, 32), np.random.default_rng(0)).shape == (32, 32, 3)


def test_crops_cover_two_fifths_of_the_image_at_least() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    widths = []
    for seed in range(200):
        crop = random_resized_crop(ramp, (50, 50), np.random.default_rng(seed), area=(0.4, 1.0))
        widths.append(int(crop.max()) - int(crop.min()) + 1)
    # area 0.4 at aspect 3/4 is sqrt(0.4 * 0.75) = 0.55 of the width; resizing loses a little at the edges
    assert 50 <= min(widths) < 70
    assert max(widths) > 95


def test_light_augmentation_changes_no_colour(tmp_path: Path) -> None:
    flat = np.full((40, 40, 3), (10, 120, 230), np.uint8)
    light = [augment(flat, (32, 32), np.random.default_rng(seed), AUGMENTATIONS["light"]) for seed in range(20)]
    strong = [augment(flat, (32, 32), np.random.default_rng(seed)) for seed in range(20)]
    assert all((image == (10, 120, 230)).all() for image in light)
    assert not all((image == (10, 120, 230)).all() for image in strong)


def test_augmentation_leaves_levels_in_range() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        changed = random_sharpness(random_colour(noise, rng), rng)
        assert changed.dtype == np.uint8
        assert changed.shape == noise.shape
        assert abs(float(changed.mean()) - float(noise.mean())) < 60


def test_pictures_stand_on_their_heads_only_if_asked() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = 200
    changes = replace(AUGMENTATIONS["light"], area=(1, 1))
    for turned, expected in ((False, {True}), (True, {False, True})):
        asked = replace(changes, vertical_flip=turned)
        tops = [augment(image, (32, 32), np.random.default_rng(seed), asked)[:4].mean() for seed in range(20)]
        assert {bool(top > 100) for top in tops} == expected
