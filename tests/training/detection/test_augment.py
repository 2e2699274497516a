"""Random changes to pictures with boxes: boxes stay around what they were drawn around."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.runtime.detection.boxes import TrueBoxes, no_truth
from edgevit.runtime.images.resample import Box
from edgevit.training.augment import AUGMENTATIONS, Augmentation
from edgevit.training.batches import training_batches
from edgevit.training.detection.augment import MarkedPicture, augment_boxed, choose_others, cut
from edgevit.training.detection.samples import BoxedSamples, drop_unreadable_boxed
from tests.made_labels import make_pictures

PLAIN = Augmentation(area=(1, 1), looks=False, erase=0, zoom=(1, 1), mosaic=0)
ZOOMING = Augmentation(area=(1, 1), looks=False, erase=0, zoom=(0.5, 1.5), mosaic=1.0, vertical_flip=True)


@pytest.fixture
def picture(tmp_path: Path) -> MarkedPicture:
    """Make a black picture of 60 x 80 with one white rectangle, and its box."""
    image = np.zeros((60, 80), np.uint8)
    image[10:40, 20:30] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    boxes = np.array([[20, 10, 30, 40]], np.float32)
    return MarkedPicture(tmp_path / "a.png", TrueBoxes(boxes, np.array([2]), np.zeros(1, np.bool_)), (60, 80))


def test_a_picture_fills_the_input_as_a_letterbox_does(picture: MarkedPicture) -> None:
    seen = set()
    for seed in range(40):
        image, truth = augment_boxed([picture], (128, 160), np.random.default_rng(seed), PLAIN)
        top = int((image[:, :, 0] != 114).any(axis=1).argmax())  # 60 x 80 becomes 120 x 160, and 8 rows are grey
        mirrored = truth.boxes[0, 0] > 80
        left, right = (100, 120) if mirrored else (40, 60)
        assert truth.boxes.tolist() == [[left, top + 20, right, top + 80]]
        assert (image[top + 25 : top + 75, left + 3 : right - 3] > 250).all()
        seen.add((top, bool(mirrored)))
    assert {top for top, _ in seen} == set(range(9))
    assert {mirrored for _, mirrored in seen} == {False, True}


def test_boxes_of_a_mosaic_lie_around_what_is_white(picture: MarkedPicture) -> None:
    found = 0
    for seed in range(20):
        image, truth = augment_boxed([picture] * 4, (128, 160), np.random.default_rng(seed), ZOOMING)
        for left, top, right, bottom in truth.boxes.round().astype(int):
            assert 0 <= left < right <= 160
            assert 0 <= top < bottom <= 128
            inside = image[top:bottom, left:right, 0]
            assert (inside > 127).mean() > 0.75
            found += 1
        assert (truth.classes == 2).all()
    assert found > 20


def test_a_box_is_dropped_if_less_than_a_quarter_is_left() -> None:
    boxes = np.array([[0, 0, 40, 10], [0, 0, 41, 10], [10, 5, 12, 9], [9, 0, 11, 9]], np.float32)
    truth = TrueBoxes(boxes, np.arange(4), np.zeros(4, np.bool_))
    seen = cut(boxes, truth, Box(top=0, left=0, height=10, width=10))
    # 10 of 40 is a quarter, 10 of 41 less; the third lies outside, and of the last one pixel in width is left
    assert seen.classes.tolist() == [0]
    assert seen.boxes.tolist() == [[0, 0, 10, 10]]


def test_half_of_the_pictures_are_composed_of_four() -> None:
    rng = np.random.default_rng(0)
    chosen = [choose_others(5, 10, rng, AUGMENTATIONS["moderate"].mosaic) for _ in range(1000)]
    assert all(numbers[0] == 5 for numbers in chosen)
    assert 0.45 < np.mean([len(numbers) == 4 for numbers in chosen]) < 0.55
    assert all(len(choose_others(5, 10, rng, 0.0)) == 1 for _ in range(20))


def test_a_batch_of_boxes_is_a_function_of_seed_and_step(picture: MarkedPicture) -> None:
    samples, _ = drop_unreadable_boxed(BoxedSamples((picture.path,) * 5, (picture.truth,) * 5, ("a", "b", "c")))
    changes = AUGMENTATIONS["strong"]
    whole = list(training_batches(samples, (64, 96), 2, range(4), 1, 2, changes))
    later = list(training_batches(samples, (64, 96), 2, range(2, 4), 1, 1, changes))
    for (images, labels), (images_later, labels_later) in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(images, images_later)
        for one, other in zip(labels, labels_later, strict=True):
            assert isinstance(one, TrueBoxes)
            assert isinstance(other, TrueBoxes)
            np.testing.assert_array_equal(one.boxes, other.boxes)


def test_a_photo_without_boxes_stays(picture: MarkedPicture) -> None:
    none = TrueBoxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    samples, skipped = drop_unreadable_boxed(BoxedSamples((picture.path,), (none,), ("a",)))
    assert (len(samples.paths), skipped, samples.counts()) == (1, (), (0,))
    image, truth = samples.example(0, (64, 64), np.random.default_rng(0), ZOOMING)
    assert (image.shape, len(truth.boxes)) == ((64, 64, 3), 0)


def test_a_turned_photo_has_the_size_that_is_seen(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", size=(20, 40), orientation=6)
    make_pictures(tmp_path, "b.jpg", size=(20, 40))
    samples, _ = drop_unreadable_boxed(
        BoxedSamples((tmp_path / "a.jpg", tmp_path / "b.jpg"), (no_truth(),) * 2, ("a",))
    )
    assert samples.sizes == ((40, 20), (20, 40))
