"""Building blocks that the model families share, and the folding of BatchNorm into the layer before it."""

from collections.abc import Iterator
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

FoldPairs = tuple[tuple[str, str], ...]
"""Attribute names (convolution or linear layer, BatchNorm) of a module whose BatchNorm directly follows that layer."""

LeadPairs = tuple[tuple[str, tuple[str, ...]], ...]
"""Dotted names below a module (BatchNorm, the linear layers or 1x1 convolutions that alone read its output).

Between the two there may be what leaves a constant as it is and is linear, such as a mean.
"""


ScalePairs = tuple[tuple[str, str], ...]
"""Dotted names below a module (LayerNorm, the linear layer or 1x1 convolution that alone reads its output)."""


class TokenNorm(nn.BatchNorm2d):
    """BatchNorm over all tokens: (B, N, C) to (B, N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2).unsqueeze(-1)).squeeze(-1).transpose(1, 2)


class ConvBN(nn.Module):
    """Convolution without bias, then BatchNorm; "same" padding for odd kernels.

    Maps (B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    fold_pairs: ClassVar[FoldPairs] = (("conv", "bn"),)

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # type: ignore[no-any-return]


def drop_path(branch: Tensor, rate: float) -> Tensor:
    """Stochastic depth (arXiv 1603.09382): zero a residual branch (B, ...) of each sample with probability `rate`.

    What is kept grows by 1 / (1 - rate), so that the expectation stays.
    """
    if rate == 0.0:
        return branch
    shape = (branch.shape[0], *(1 for _ in branch.shape[1:]))
    keep = torch.rand(shape, device=branch.device, dtype=branch.dtype) >= rate
    return branch * keep / (1.0 - rate)


class Mlp(nn.Module):
    """Linear, GELU, linear: (..., C) to (..., C)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


@runtime_checkable
class HasExportForm(Protocol):
    """A module whose weights can be arranged so that the exported graph has fewer or safer operators."""

    export_form: ClassVar[str]
    """What the change is called where it is judged."""

    def take_export_form(self) -> None:
        """Rearrange in place, the output staying the same."""


def make_export_changes(model: nn.Module) -> Iterator[str]:
    """Fold BatchNorm, then let each kind of module take its export form, in place; yield the name of each change made.

    Raises:
        ValueError: the model is in training mode.
    """
    fold_batchnorm(model)
    yield "folding"
    kinds: dict[str, list[HasExportForm]] = {}
    for module in model.modules():
        if isinstance(module, HasExportForm):
            kinds.setdefault(module.export_form, []).append(module)
    for name, alike in kinds.items():
        for one in alike:
            one.take_export_form()
        yield name


def prepare_for_export(model: nn.Module) -> None:
    """Make all of `make_export_changes`."""
    for _ in make_export_changes(model):
        pass


def fold_batchnorm(model: nn.Module) -> None:
    """Fold every BatchNorm named in `fold_pairs` or `lead_pairs` into its layers, in place; the output stays the same.

    Linear algebra: gamma * (W x + b - mean) / std + beta = (gamma / std * W) x + (gamma / std * (b - mean) + beta),
    and for a BatchNorm in the lead W (gamma * (x - mean) / std + beta) + b = (W * gamma / std) x + W (beta - gamma *
    mean / std) + b. The model must be in eval mode, since the running statistics are what is folded.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("BatchNorm can be folded in eval mode only; call model.eval() first")
    for module in model.modules():
        for layer_name, norm_name in getattr(module, "fold_pairs", ()):
            layer, norm = getattr(module, layer_name), getattr(module, norm_name)
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                _fold_pair(layer, norm)
                setattr(module, norm_name, nn.Identity())
        for norm_name, readers in getattr(module, "lead_pairs", ()):
            norm = module.get_submodule(norm_name)
            if isinstance(norm, nn.BatchNorm2d):
                for reader in readers:
                    _fold_lead(norm, module.get_submodule(reader))
                owner, _, leaf = norm_name.rpartition(".")
                setattr(module.get_submodule(owner), leaf, nn.Identity())


@torch.no_grad()
def fold_layernorm_scales(model: nn.Module) -> None:
    """Fold scale and shift of every LayerNorm named in `scale_pairs` into its reader, in place; the output stays.

    W (gamma * x + beta) + b = (W * gamma) x + (W beta + b). For runtimes that have no LayerNorm of their own.
    """
    for module in model.modules():
        for norm_name, reader in getattr(module, "scale_pairs", ()):
            norm = module.get_submodule(norm_name)
            if isinstance(norm, nn.LayerNorm):
                _fold_into(norm.weight, norm.bias, module.get_submodule(reader))
                norm.weight.fill_(1)
                norm.bias.fill_(0)


def _fold_pair(layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    if isinstance(layer, nn.Linear):
        fused = fuse_linear_bn_weights(layer.weight, layer.bias, mean, var, norm.eps, norm.weight, norm.bias)
    else:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        # a depthwise transposed convolution stores (C, 1, k, k), which scales like an ordinary convolution's weight
        transpose = isinstance(layer, nn.ConvTranspose2d) and layer.groups == 1
        fused = fuse_conv_bn_weights(
            layer.weight, layer.bias, mean, var, norm.eps, norm.weight, norm.bias, transpose=transpose
        )
    layer.weight, layer.bias = fused


@torch.no_grad()
def _fold_lead(norm: nn.BatchNorm2d, layer: nn.Module) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    _fold_into(scale, norm.bias - norm.running_mean * scale, layer)


def _fold_into(scale: Tensor, shift: Tensor, layer: nn.Module) -> None:
    """Let a layer read x where it read scale * x + shift."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert layer.bias is not None
    layer.bias += layer.weight.flatten(1) @ shift
    layer.weight *= scale.reshape(1, -1, *[1] * (layer.weight.ndim - 2))


def draw_linear_weights(model: nn.Module) -> None:
    """Start every linear layer as Vision Transformers are: a normal of deviation 0.02 cut at 2, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
