"""Folding BatchNorm changes the form of a model, not its output."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from edgevit.models import create_model, list_models
from edgevit.models.layers import (
    ConvBN,
    FoldPairs,
    ScalePairs,
    fold_batchnorm,
    fold_layernorm_scales,
    prepare_for_export,
)
from edgevit.models.zoo.registry import get_spec

SMALL = [name for name in list_models("classify") if get_spec(name).parameters < 60e6]


def test_one_pair_is_folded_as_by_hand() -> None:
    pair = ConvBN(1, 1).eval()
    pair.conv.weight.data.fill_(3.0)
    norm = pair.bn
    norm.eps = 0.0
    for tensor, value in ((norm.weight, 4.0), (norm.bias, 5.0), (norm.running_mean, 1.0), (norm.running_var, 0.25)):
        assert tensor is not None
        tensor.data.fill_(value)
    fold_batchnorm(pair)
    assert pair.conv.bias is not None
    assert pair.conv.weight.item() == pytest.approx(3 * 4 / 0.5)
    assert pair.conv.bias.item() == pytest.approx(5 - 4 * 1 / 0.5)
    assert isinstance(pair.bn, nn.Identity)


@pytest.mark.parametrize("name", SMALL)
def test_folding_leaves_the_logits_and_no_batchnorm(name: str) -> None:
    torch.manual_seed(0)
    model, x = create_model(name, 10).double().eval(), torch.randn(1, 3, 96, 96, dtype=torch.float64)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.weight, 0.5), (module.bias, -0.5), (module.running_mean, -0.5)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 1)
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        before = model(x)
        fold_batchnorm(model)
        after = model(x)
    assert (before - after).abs().max().item() < 1e-12
    prepare_for_export(model)  # folds those that no layer comes right before
    assert not [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


class Pair(nn.Module):
    """A layer and its BatchNorm, with statistics that change every channel."""

    fold_pairs: ClassVar[FoldPairs] = (("layer", "norm"),)

    def __init__(self, layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.layer, self.norm = layer, norm
        for tensor, low in ((norm.weight, 0.5), (norm.bias, -0.5), (norm.running_mean, -0.5), (norm.running_var, 0.5)):
            assert tensor is not None
            tensor.data.uniform_(low, low + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Linear(4, 6), nn.BatchNorm1d(6), (5, 4)),
        (nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), (5, 4)),
        (nn.ConvTranspose2d(4, 6, 2, 2), nn.BatchNorm2d(6), (5, 4, 3, 3)),
        (nn.ConvTranspose2d(6, 6, 2, 2, groups=6), nn.BatchNorm2d(6), (5, 6, 3, 3)),
        (nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), (5, 6, 3, 3)),
    ],
    ids=["linear", "linear without bias", "transposed", "depthwise transposed", "depthwise"],
)
def test_every_kind_of_layer_takes_its_batchnorm(
    layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d, shape: tuple[int, ...]
) -> None:
    pair, x = Pair(layer, norm).double().eval(), torch.randn(shape, dtype=torch.float64)
    with torch.inference_mode():
        before = pair(x)
        fold_batchnorm(pair)
        after = pair(x)
    assert isinstance(pair.norm, nn.Identity)
    assert (before - after).abs().max().item() < 1e-12


def test_folding_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        fold_batchnorm(ConvBN(1, 1))


class Normed(nn.Module):
    """A LayerNorm, and the layer that alone reads it."""

    scale_pairs: ClassVar[ScalePairs] = (("norm", "read"),)

    def __init__(self, read: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2)
        self.read = read


@pytest.mark.parametrize("read", [nn.Linear(2, 1), nn.Conv2d(2, 1, 1)], ids=["linear", "convolution"])
@torch.no_grad()
def test_scale_and_shift_of_a_layernorm_are_folded_as_by_hand(read: nn.Linear | nn.Conv2d) -> None:
    pair = Normed(read)
    read.weight.copy_(torch.tensor([3.0, -2.0]).reshape(read.weight.shape))
    assert read.bias is not None
    read.bias.fill_(0.5)
    pair.norm.weight.copy_(torch.tensor([4.0, 10.0]))
    pair.norm.bias.copy_(torch.tensor([1.0, 7.0]))
    fold_layernorm_scales(pair)
    assert read.weight.flatten().tolist() == [12, -20]
    assert read.bias.item() == 0.5 + 3 * 1 - 2 * 7
    assert pair.norm.weight.tolist() == [1, 1]
    assert pair.norm.bias.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["sbcformer_xs", "deit_tiny_patch16_224"])
@torch.no_grad()
def test_models_without_scales_in_their_layernorms_answer_alike(name: str) -> None:
    model = create_model(name, 5).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    for norm in norms:
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    image = torch.rand(1, 3, 224, 224)
    before = model(image)
    fold_layernorm_scales(model)
    # all but the last, whose reader writes the answers
    assert [bool((norm.weight == 1).all()) for norm in norms] == [True] * (len(norms) - 1) + [False]
    torch.testing.assert_close(model(image), before, rtol=1e-4, atol=1e-4)
