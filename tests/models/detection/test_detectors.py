"""Detectors have the names, shapes and answers that were recorded, at any multiple of 32, for any number of classes."""

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgevit.models import create_model, list_models
from edgevit.models.layers import fold_batchnorm
from edgevit.models.zoo.registry import get_spec
from tests.families import by_family
from tests.places import SHARED
from tests.recordings import fill, rule

PROPOSAL = "proposal_efficientvit_b0_det96"
"""What edgevit's own detector was recorded as, with 3 classes, when it was written down."""

recorded = pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="the recordings are not beside this checkout")


def _close(found: torch.Tensor, reference: NDArray[np.float32]) -> None:
    """Fail unless two maps are equal but for the rounding of float32."""
    assert found.shape == reference.shape
    assert np.abs(found.numpy() - reference).max() <= 1e-4 * max(1, float(reference.std()))


def _rows(maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return recorded maps (B, C, H, W), the finest first, as (B, places, C)."""
    return np.concatenate([x.transpose(0, 2, 3, 1).reshape(len(x), -1, x.shape[1]) for x in maps], axis=1)


def _macs(model: nn.Module, size: tuple[int, int]) -> int:
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, *size, device="meta"))
    return int(counter.get_total_flops()) // 2


@recorded
def test_own_detector_is_the_one_that_was_written_down() -> None:
    keys = json.loads((SHARED / "keys" / f"{PROPOSAL}.json").read_text())
    model = create_model("efficientvit_b0_det", 3)
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == {
        key: tuple(shape) for key, shape, _ in keys
    }
    fill(model)
    golden = np.load(SHARED / "golden" / f"{PROPOSAL}__320x320.npz")
    inputs = {"": rule().golden_input((2, 3, 320, 320)), "lf_": rule().golden_input_lf((2, 3, 320, 320))}
    for folded in (False, True):
        if folded:
            fold_batchnorm(model)
        for prefix, x in inputs.items():
            with torch.inference_mode():
                answers = model(torch.from_numpy(x))
            for name, found in zip(("reg", "obj", "cls"), answers, strict=True):
                _close(found, _rows([golden[f"{prefix}{name}.p{level}"] for level in (3, 4, 5)]))


def test_own_detector_has_the_size_that_was_written_down() -> None:
    """0.90 M parameters and 0.315 G multiply-accumulates at 320 pixels with 3 classes: 1,600 + 400 + 100 places."""
    with torch.device("meta"), torch.no_grad():
        model = create_model("efficientvit_b0_det", 3).eval()
        assert len(model.state_dict()) == 438
        assert sum(parameter.numel() for parameter in model.parameters()) == 904_584
        assert _macs(model, (320, 320)) == pytest.approx(0.315e9, rel=0.005)
        assert model(torch.empty(1, 3, 320, 320))[0].shape == (1, 2100, 4)


@pytest.mark.parametrize("name", by_family(list_models("detect")))
@pytest.mark.parametrize("size", [(64, 96), (192, 128)])
def test_every_detector_answers_for_each_place_of_any_multiple_of_32(name: str, size: tuple[int, int]) -> None:
    spec = get_spec(name)
    assert spec.family.boxes is not None
    levels = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in spec.family.boxes.strides]
    places = sum(h * w for h, w in levels) * spec.family.anchors
    with torch.inference_mode():
        answers = create_model(name, 7).eval()(torch.zeros(2, 3, *size))
    widths = (4, 1, 7) if spec.family.boxes.objectness else (4, 7)
    assert [tuple(answer.shape) for answer in answers] == [(2, places, width) for width in widths]


def test_detectors_see_the_whole_picture_in_its_own_aspect() -> None:
    for name in list_models("detect"):
        steps = get_spec(name).preprocess
        assert (steps.crop_mode, steps.crop_pct, steps.fill, steps.interpolation) == ("letterbox", 1, 114, "bilinear")


@pytest.mark.parametrize("name", by_family(list_models("detect")))
def test_training_starts_with_every_place_empty(name: str) -> None:
    """A score of a hundredth everywhere, so that the many places without an object do not drown the few with one."""
    torch.manual_seed(0)
    with torch.inference_mode():
        _, *logits = create_model(name, 4).eval()(torch.zeros(1, 3, 64, 64))
    for found in logits:
        assert torch.sigmoid(found).mean() == pytest.approx(0.01, rel=0.5)
