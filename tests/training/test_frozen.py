"""The last layer alone: nothing else changes, and it becomes the best penalized regression on the features."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from edgevit.errors import OptionError
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.resolve import resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.training import Watcher, train
from edgevit.training.frozen import features, fit_head
from tests.made_photos import write_photos

NAME = "sbcformer_xs"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 10 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data"), 10)


def test_a_frozen_run_changes_the_classifier_only_and_says_what_it_started_from(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = train(NAME, data, tmp_path / "run", freeze=True, imgsz=(32, 64), watcher=Watcher(said.append))
    assert result.accuracy is not None
    assert result.accuracy.figures["top1"] == 1.0
    assert any(line.startswith(f"starting from all weights of {NAME}/pretrained but the classifier") for line in said)
    published = resolve_weights(get_spec(NAME), "pretrained")
    assert published.path is not None
    before, after = read_state_dict(published.path), read_state_dict(result.weights)
    assert {key for key in after if not torch.equal(before[key], after[key])} == {"head.weight", "head.bias"}
    own = resolve_weights(get_spec(NAME), str(result.weights))
    assert (own.labels, own.preprocess.size) == (("blue", "red"), (32, 64))
    assert own.held_out is not None
    card = json.loads(result.weights.with_suffix(".json").read_text())
    assert card["freeze"] is True
    assert result.page.is_file()


def test_a_frozen_run_needs_weights_and_a_classifier(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="none of sbcformer_s are published; give init=FILE"):
        train("sbcformer_s", data, tmp_path / "run", freeze=True)
    with pytest.raises(OptionError, match="needs trained weights below the last layer"):
        train(NAME, data, tmp_path / "run", freeze=True, init="random")
    with pytest.raises(OptionError, match="is for models that classify"):
        train("efficientvit_seg_b0_cityscapes", data, tmp_path / "run", freeze=True)
    with pytest.raises(OptionError, match="keeps no state; leave out resume="):
        train(NAME, data, tmp_path / "run", freeze=True, resume=True)
    assert not (tmp_path / "run").exists()


def test_a_frozen_run_sees_photos_on_their_heads_only_if_told_to(data: Path, tmp_path: Path) -> None:
    """Half of the changed photos are turned, so that the features, and the layer fitted to them, are others."""
    common = {"freeze": True, "imgsz": 32, "augmentation": "light"}
    plain, turned = (
        read_state_dict(train(NAME, data, tmp_path / str(flip), vertical_flip=flip, **common).weights)  # type: ignore[arg-type]
        for flip in (False, True)
    )
    assert not torch.equal(plain["head.weight"], turned["head.weight"])


def test_a_frozen_run_has_no_statistics_to_compute_anew(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="freeze= has no use for bn_batches=; leave it out"):
        train(NAME, data, tmp_path / "run", freeze=True, bn_batches=9)


def test_a_frozen_run_can_be_stopped(data: Path, tmp_path: Path) -> None:
    stop = Watcher(should_stop=lambda: True)
    result = train(NAME, data, tmp_path / "run", freeze=True, imgsz=32, watcher=stop)
    assert not result.finished
    assert not result.weights.exists()


def test_features_are_what_the_last_layer_is_given() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(features(model, model[3], x), model[:3](x).detach())


def test_the_fitted_layer_is_where_the_loss_has_no_slope() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    seen = torch.randn(60, 5, generator=rng) * torch.tensor([1.0, 9.0, 0.1, 1.0, 3.0]) + 7
    seen[:, 0] += labels
    weight, bias = fit_head(seen, labels, 3)
    # centred, as a slope of the offset counts 70 times in that of a feature whose mean is 70 deviations
    mean, deviation = seen.mean(0), seen.std(0, correction=0)
    scaled = (weight * deviation).requires_grad_(True)
    offset = (bias + weight @ mean).requires_grad_(True)
    logits = ((seen - mean) / deviation) @ scaled.T + offset
    (nn.functional.cross_entropy(logits, labels) + 0.003 / 2 * scaled.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert scaled.grad is not None
    assert offset.grad is not None
    assert float(scaled.grad.abs().max()) < 2e-4
    assert float(offset.grad.abs().max()) < 2e-4
