"""What a wrong answer costs."""

import numpy as np
import pytest
import torch

from edgevit.runtime.datasets.masks import IGNORED
from edgevit.training.objective import CrossEntropy, class_weights


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


def test_a_mask_without_any_class_costs_nothing() -> None:
    masks = [np.full((2, 2), IGNORED, np.uint8)]
    assert CrossEntropy(0.1)(torch.zeros(1, 3, 2, 2), masks, (2, 2)).item() == 0
