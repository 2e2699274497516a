"""The arithmetic stays what it was when it agreed with the official models, wherever the recordings are not at hand.

Weights and inputs depend on nothing but names and shapes. Run as a program, this prints the fingerprints of the
present implementation: `python -m tests.models.test_fingerprints > tests/data/fingerprints.json`.
"""

import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgevit.models import create_model, list_models
from edgevit.models.weights.load import DERIVED
from edgevit.models.zoo.registry import get_spec
from tests.families import by_family
from tests.places import TESTS

RECORDED = TESTS / "data" / "fingerprints.json"
SAMPLED = (0, 1, 499, 998, 999)
"""Classes whose logits are recorded."""
RECORDED_MODELS = [*list_models("classify"), *list_models("detect")]
TOO_LARGE = {name for name in RECORDED_MODELS if get_spec(name).parameters > 150e6}
"""Recorded without logits, to spare memory."""
UNEVEN = (128, 256)
"""Input of models for any resolution, 2 x 3 windows, none of them full; and of detectors."""


def noise(count: int, seed: int) -> NDArray[np.float64]:
    """Return numbers of mean 0 and variance 1, evenly spread: the splitmix64 generator, the same on every machine."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    values: NDArray[np.float64] = ((x >> np.uint64(11)).astype(np.float64) / 2**52 - 1) * np.sqrt(3)
    return values


def fill(model: nn.Module) -> None:
    """Set each tensor from noise seeded by its place in the order of names, at a scale that keeps activations alive."""
    state = model.state_dict()
    for place, key in enumerate(sorted(state)):
        value = state[key]
        if not value.dtype.is_floating_point or key.endswith(DERIVED):
            continue
        values = noise(value.numel(), 1 << 32 | place).reshape(value.shape)
        leaf = key.rpartition(".")[2]
        if leaf in ("weight", "running_var") and value.ndim == 1:
            values = 1 + 0.3 * values
        elif leaf == "weight":
            values = values * np.sqrt(1 / np.prod(value.shape[1:]))
        else:
            values = 0.2 * values
        value.copy_(torch.from_numpy(values))


def image(size: tuple[int, int]) -> torch.Tensor:
    """Return one input (1, 3, *size) of waves and noise, float64."""
    y, x = (axis / side for axis, side in zip(np.mgrid[: size[0], : size[1]], size, strict=True))
    waves = np.stack([np.sin(7 * x + 3 * y), np.sin(11 * y - 5 * x * y + 1), np.cos(17 * x * y - 2 * y)])
    return torch.from_numpy(waves + 0.5 * noise(waves.size, 7).reshape(waves.shape))[None]


def fingerprint(name: str) -> dict[str, Any]:
    """Count the tensors and parameters, and compute a few logits, or of each of a detector's answers, in float64."""
    with torch.device("meta"):
        model = create_model(name)
    found = {"tensors": len(model.state_dict()), "parameters": sum(p.numel() for p in model.parameters())}
    if name in TOO_LARGE:
        return found
    family = get_spec(name).family
    size = UNEVEN if family.built_for_size or family.task == "detect" else (224, 224)
    model = create_model(name, size=size).double().eval()
    fill(model)
    with torch.inference_mode():
        answers = model(image(size))
    if family.task == "detect":
        values = [answer.flatten()[part * answer.numel() // 4] for answer in answers for part in range(4)]
    else:
        values = [answers[0, index] for index in SAMPLED]
    return found | {"logits": [float(f"{value:.12g}") for value in values]}


def test_noise_is_splitmix64() -> None:
    # the generator's published first outputs for seed 0 are 0xE220A8397B1DCDAF and 0x6E789E6AA1B965F4
    expected = [(value >> 11) / 2**52 - 1 for value in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4)]
    assert noise(2, 0) == pytest.approx(np.sqrt(3) * np.array(expected), rel=1e-15)


@pytest.mark.parametrize("name", by_family(RECORDED_MODELS))
def test_model_is_the_one_that_was_verified(name: str) -> None:
    found, recorded = fingerprint(name), json.loads(RECORDED.read_text())[name]
    assert found.keys() == recorded.keys()
    assert (found["tensors"], found["parameters"]) == (recorded["tensors"], recorded["parameters"])
    assert found.get("logits", []) == pytest.approx(recorded.get("logits", []), rel=1e-9, abs=1e-10)


if __name__ == "__main__":
    print(json.dumps({name: fingerprint(name) for name in RECORDED_MODELS}, indent=1))  # noqa: T201
