"""What training asks of every detector."""

import pytest
from torch import nn

from edgevit.models import create_model
from edgevit.models.zoo.registry import get_spec, list_models
from edgevit.training.detection.objective import LOSSES


@pytest.mark.parametrize("name", [name for name in list_models("detect") if "retinanet" not in name])
def test_statistics_follow_within_a_short_run(name: str) -> None:
    """YOLOX's own momentum of 0.03 suits hundreds of thousands of steps: after a hundred nothing would be found."""
    momenta = {norm.momentum for norm in create_model(name, 2).modules() if isinstance(norm, nn.BatchNorm2d)}
    assert momenta == {0.1}


@pytest.mark.parametrize("name", list_models("detect"))
def test_every_detector_has_a_loss(name: str) -> None:
    boxes = get_spec(name).family.boxes
    assert boxes is not None
    assert boxes.decode in LOSSES


def test_a_threshold_that_training_suggests_is_the_exported_model_s() -> None:
    spec = get_spec("efficientvit_b0_det")
    changed, same = spec.with_threshold(0.4).family.boxes, spec.with_threshold(None).family.boxes
    assert changed is not None
    assert same is not None
    assert (changed.threshold, same.threshold) == (0.4, 0.25)
    assert get_spec("efficientvit_b0").with_threshold(0.4) == get_spec("efficientvit_b0")
