"""Names, shapes and logits equal those recorded from the official implementations."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from edgevit.models import create_model, list_models
from edgevit.models.layers import fold_batchnorm
from edgevit.models.zoo.registry import get_spec
from tests.places import SHARED
from tests.recordings import fill, rule

RESIZED = {f"faster_vit_0_any_res__{h}x{w}": (h, w) for h, w in ((224, 224), (256, 256), (288, 480))}
"""Recordings of models that were built for other sizes than the published one, (height, width)."""
GOLDEN = [name for name in (*list_models("classify"), *RESIZED) if (SHARED / "golden" / f"{name}.npz").is_file()]
OFFICIAL = [name for name in list_models() if not name.endswith("_det")]
"""edgevit's own detectors have no official implementation."""

pytestmark = pytest.mark.skipif(not GOLDEN, reason="the recordings of the official models are not beside this checkout")


def _create(recording: str) -> nn.Module:
    return create_model(recording.partition("__")[0], size=RESIZED.get(recording))


def _inputs(recording: str) -> dict[str, torch.Tensor]:
    shape = (2, 3, *RESIZED.get(recording, (224, 224)))
    made = {"logits": rule().golden_input(shape), "logits_lf": rule().golden_input_lf(shape)}
    return {key: torch.from_numpy(value) for key, value in made.items()}


@pytest.mark.parametrize("name", [*(name for name in OFFICIAL if not get_spec(name).plain), *RESIZED])
def test_names_and_shapes_are_the_official_ones(name: str) -> None:
    aliases = json.loads((SHARED / "keys" / "_aliases.json").read_text()).get(name, {})
    official = json.loads((SHARED / "keys" / f"{name}.json").read_text())
    with torch.device("meta"):
        own = {key: tuple(value.shape) for key, value in _create(name).state_dict().items()}
    assert own == {key: tuple(shape) for key, shape, _ in official if key not in aliases}


@pytest.mark.parametrize("name", GOLDEN)
def test_logits_are_the_official_ones(name: str) -> None:
    recorded = np.load(SHARED / "golden" / f"{name}.npz")
    model = fill(_create(name))
    with torch.inference_mode():
        for key, x in _inputs(name).items():
            # in float64: in float32 the recording has rounded as its machine does, and this one rounds in another way
            reference = recorded[f"{key}_fp64"]
            # the recording's own rounding: large for Next-ViT alone, whose softmax these weights saturate
            noise = np.abs(reference - recorded[key]).max()
            tolerance = np.maximum(1e-4 * (1 + np.abs(reference)), noise if name == "nextvit_small" else 0)
            assert np.all(np.abs(model(x).numpy() - reference) <= tolerance), key
        model.double()
        for key, x in _inputs(name).items():
            reference = recorded[f"{key}_fp64"]
            assert np.abs(model(x.double()).numpy() - reference).max() <= 1e-9, key
        fold_batchnorm(model)
        for key, x in _inputs(name).items():
            assert np.abs(model(x.double()).numpy() - recorded[f"{key}_fp64"]).max() <= 1e-9, f"{key}, folded"
