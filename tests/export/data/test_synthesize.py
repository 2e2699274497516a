"""Images made from BatchNorm statistics."""

import itertools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import OptionError
from edgevit.export.data.synthesize import (
    Synthesis,
    affordable_images,
    main,
    model_input,
    roughness,
    statistics_distance,
    synthesize_images,
)
from edgevit.models import create_model
from edgevit.models.layers import TokenNorm
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.images.preprocess import preprocess

HOW = Preprocess(size=(32, 32), crop_pct=1.0)
SHORT = Synthesis(steps=60, batch=8)


def make_model(color: tuple[float, float, float], deviation: float) -> nn.Module:
    """Make a model whose first BatchNorm sees the input itself: normalized pixels of the given mean and deviation."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    mean, std = torch.tensor(HOW.mean), torch.tensor(HOW.std)
    pixels = torch.tensor(color) + deviation * torch.randn(64, 32, 32, 3)
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(((pixels - mean) / std).permute(0, 3, 1, 2))
    return model.eval()


def test_images_have_the_mean_and_deviation_that_the_model_remembers() -> None:
    color = (0.7, 0.4, 0.2)
    images = synthesize_images(make_model(color, 0.1), 16, HOW, synthesis=SHORT)
    assert images.shape == (16, 32, 32, 3)
    assert images.dtype == np.uint8
    pixels = images.reshape(-1, 3) / 255
    assert pixels.mean(axis=0) == pytest.approx(color, abs=0.02)
    assert pixels.std(axis=0) == pytest.approx([0.1] * 3, abs=0.03)


def test_the_same_seed_gives_the_same_images_and_leaves_the_model_alone() -> None:
    model = make_model((0.5, 0.5, 0.5), 0.2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    short = Synthesis(steps=3, batch=4)
    first, again, other = (synthesize_images(model, 6, HOW, seed=seed, synthesis=short) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_progress_of_the_steps_is_shown() -> None:
    shown: list[tuple[str, int]] = []

    def track(items: Iterable[Any], label: str, count: int) -> Iterator[Any]:
        for item in items:
            shown.append((label, count))
            yield item

    model = make_model((0.5, 0.5, 0.5), 0.2)
    synthesize_images(model, 5, HOW, size=16, synthesis=Synthesis(steps=2, batch=4), track=track)
    assert shown == [("steps of calibration images", 2)] * 4


@pytest.mark.parametrize(
    ("step_s", "told"),
    [
        # 300 coarse steps and 100 of four times their cost, judged by the third, or by the first that takes 5 seconds
        (0.01, ("INFO", "making calibration images takes about 7 s")),
        (0.1, ("WARNING", "making calibration images takes about 1 min")),
        (9.0, ("WARNING", "making calibration images takes about 105 min")),
    ],
)
def test_long_making_is_told_once_at_its_start(
    step_s: float, told: tuple[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) * step_s)
    stop = Synthesis(steps=400)

    def track(items: Iterable[Any], label: str, count: int) -> Iterator[Any]:
        return iter(list(items)[:5])

    synthesize_images(make_model((0.5, 0.5, 0.5), 0.2), 2, HOW, size=16, synthesis=stop, track=track)
    found = [(each.levelname, each.getMessage()) for each in caplog.records if "takes" in each.getMessage()]
    assert found == [told]


def test_distance_of_statistics_is_as_computed_by_hand() -> None:
    norm = nn.BatchNorm2d(1, eps=0.0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    x = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)  # mean 0, variance 1: half a deviation off, and half as wide
    assert float(statistics_distance(norm, x)) == pytest.approx(0.25 + math.log(2) ** 2)
    x = torch.tensor([-1.0, 3.0]).reshape(2, 1, 1, 1)
    assert float(statistics_distance(norm, x)) == pytest.approx(0.0, abs=1e-9)


def test_statistics_of_tokens_are_those_of_their_last_axis() -> None:
    norm = TokenNorm(2, eps=1e-9)
    x = torch.tensor([[3.0, 0.0], [5.0, 0.0], [7.0, 4.0]]).reshape(1, 3, 2)
    with torch.no_grad():
        norm.momentum = None
        norm(x)
        assert norm.running_var is not None
        norm.running_var *= 2 / 3  # PyTorch remembers that of n - 1
        assert float(statistics_distance(norm, x)) == pytest.approx(0.0, abs=1e-9)
        assert float(statistics_distance(norm, x.flip(-1))) > 0.1


@pytest.mark.slow
def test_a_model_with_norms_of_tokens_gets_images() -> None:
    model = create_model("nextvit_small", num_classes=10).eval()
    images = synthesize_images(model, 2, replace(HOW, size=(64, 64)), synthesis=Synthesis(steps=2))
    assert images.shape == (2, 64, 64, 3)


def test_roughness_is_the_mean_step_between_neighbours() -> None:
    ramp = torch.arange(4.0).repeat(1, 3, 4, 1)
    assert float(roughness(ramp)) == 1.0  # 0 down, 1 to the right


@pytest.mark.parametrize("side", [32, 48, 64])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
def test_the_differentiable_preprocessing_is_the_runtimes(side: int, crop_pct: float) -> None:
    preprocessing = Preprocess(size=(64, 64), crop_pct=crop_pct)
    noise: Tensor = torch.rand(1, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(0))
    image = (nn.functional.interpolate(noise, (side, side), mode="bilinear") * 255).round()
    ours = model_input(image / 255, preprocessing)[0].numpy()
    runtimes = preprocess(image[0].permute(1, 2, 0).byte().numpy(), preprocessing)
    level = 1 / 255 / min(preprocessing.std)
    assert ours.shape == runtimes.shape
    assert np.abs(ours - runtimes).max() < 1.5 * level  # which rounds to whole levels twice


def test_letterbox_and_channels_are_those_of_the_runtime() -> None:
    how = Preprocess((64, 96), "bilinear", 1.0, "letterbox", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), channels="BGR")
    image = (torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 255).round()
    ours = model_input(image / 255, how)[0].numpy()
    runtimes = preprocess(image[0].permute(1, 2, 0).byte().numpy(), how)
    np.testing.assert_allclose(ours, runtimes, atol=1.5 / 255 / min(how.std))
    # the right third is grey 114, blue first
    np.testing.assert_allclose(
        ours[:, 0, -1], [(114 / 255 - 0.3) / 0.7, (114 / 255 - 0.2) / 0.6, (114 / 255 - 0.1) / 0.5], rtol=1e-5
    )


def test_a_model_with_few_batchnorms_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(3600, 2)).eval()
    with pytest.raises(OptionError, match="the model has 1 BatchNorm layers.*give real images with data="):
        synthesize_images(model, 4, HOW)


def test_what_is_no_seed_makes_no_images() -> None:
    with pytest.raises(OptionError, match="seed= is -1, expected a whole number from 0 to"):
        synthesize_images(nn.Sequential(), 4, HOW, seed=-1)


def test_the_program_writes_the_same_file_each_time(tmp_path: Path) -> None:
    words = ["efficientvit_b0", "--weights", "random", "--count", "2", "--size", "32", "--steps", "1", "-o"]
    for name in ("a.npz", "b.npz"):
        result = click.testing.CliRunner().invoke(main, [*words, str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    with np.load(tmp_path / "a.npz") as file:
        assert file["images"].shape == (2, 32, 32, 3)
        assert file["images"].dtype == np.uint8
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "size", "count"),
    [("efficientvit_b0", (224, 224), 64), ("efficientvit_b1", (224, 224), 19), ("efficientvit_b3", (224, 224), 16)],
)
def test_a_large_model_gets_fewer_images(name: str, size: tuple[int, int], count: int) -> None:
    # 10 GMACs a pass: b0 has 0.10 GMACs an image, b1 0.52, b3 4.0
    assert affordable_images(64, get_spec(name), size) == count
    assert affordable_images(5, get_spec(name), size) == 5
