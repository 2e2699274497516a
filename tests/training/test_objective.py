"""What a wrong answer costs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.datasets.masks import IGNORED
from edgevit.training.batches import training_batches
from edgevit.training.folders import Samples
from edgevit.training.masked import MaskedSamples
from edgevit.training.objective import CrossEntropy, class_weights, find_changes
from edgevit.training.recipe import Recipe


@pytest.mark.parametrize("label", [0, IGNORED, 299])
@pytest.mark.parametrize("balance", [False, True])
def test_every_class_of_many_is_learnt(label: int, balance: bool) -> None:
    """The number that means no class in a mask is a class like any other where images have 300 of them."""
    weights = class_weights((2,) * 300) if balance else None
    logits = torch.zeros(2, 300, requires_grad=True)
    loss = CrossEntropy(0.0, weights)(logits, [label, 1], (32, 32))
    assert loss.item() == pytest.approx(np.log(300))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, label].item() == pytest.approx((1 / 300 - 1) / 2)


@pytest.mark.parametrize("crop_pct", [1.0, 0.6])
@pytest.mark.parametrize("masks", [False, True])
def test_the_border_that_is_not_looked_at_is_not_trained_on(crop_pct: float, masks: bool, tmp_path: Path) -> None:
    """The middle 60 % of each side are black in a white picture."""
    picture = np.full((100, 150, 3), 255, np.uint8)
    picture[20:80, 30:120] = 0
    cv2.imwrite(str(tmp_path / "image.png"), picture)
    cv2.imwrite(str(tmp_path / "mask.png"), picture[:, :, 0])
    recipe = Recipe(((64, 1.0),), augmentation="light", vertical_flip=True)
    changes = find_changes(recipe, Preprocess(size=(64, 64), crop_pct=crop_pct))
    paths, drawn = (tmp_path / "image.png",) * 8, (tmp_path / "mask.png",) * 8
    samples = MaskedSamples(paths, drawn, ("a", "b")) if masks else Samples(paths, (0,) * 8, ("a", "b"))
    images, labels = next(training_batches(samples, (64, 64), 8, range(1), 0, 1, changes))
    assert changes.vertical_flip
    assert (images.max() > 0) == (crop_pct == 1)
    if masks:
        assert (np.stack(labels).max() > 0) == (crop_pct == 1)  # type: ignore[arg-type]


def test_a_mask_without_any_class_costs_nothing() -> None:
    masks = [np.full((2, 2), IGNORED, np.uint8)]
    assert CrossEntropy(0.1, of_pixels=True)(torch.zeros(1, 3, 2, 2), masks, (2, 2)).item() == 0
