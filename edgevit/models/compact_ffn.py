"""Compact FFN (cFFN): a feed-forward network's hidden-to-output product through a bottleneck (arXiv 2306.10875).

C is the width of the network's input and output, m * C that of its hidden layer. The (m * C, C) matrix becomes two,
(m * C, d) and (d, C), nothing in between. The paper gives d as a share t = 2/3, the compact ratio, of the width at
which the two would cost what the one does, m * C / (m + 1). Here d is that number rounded to a multiple of 4, since
int8 kernels take four inputs at a time; the totals stay within half a point of the published ones
(benchmarks/hallucination.py).

While it is trained each of the two is a sum of r = 2 parallel 1x1 convolutions, each with a BatchNorm of its own; all
that is linear, so that a trained network has one matrix in place of each sum. Every FFN of a model is compacted, in
Next-ViT those of the convolution blocks too: with the transformer blocks alone the published reductions are missed.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from edgevit.models.layers import ConvBN, FoldPairs, TokenNorm, fold_batchnorm

COMPACT_RATIO = 2 / 3
BRANCHES = 2
STEP = 4
"""The bottleneck's width is a multiple of it."""


def bottleneck_width(hidden: int, dim: int) -> int:
    """Return d for a (hidden, dim) matrix."""
    as_costly = hidden * dim / (hidden + dim)
    return max(STEP, STEP * round(COMPACT_RATIO * as_costly / STEP))


class LinearBN(nn.Module):
    """Linear layer without bias, then BatchNorm over all tokens: (B, N, in) to (B, N, out)."""

    fold_pairs: ClassVar[FoldPairs] = (("linear", "bn"),)

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.bn = TokenNorm(out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.linear(x))  # type: ignore[no-any-return]


class Parallel(nn.Module):
    """A sum of branches, each a linear map with BatchNorm; merged, it is one linear map with bias."""

    export_form: ClassVar[str] = "merged branches"

    def __init__(self, *branches: LinearBN | ConvBN) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.merged: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.merged is not None:
            return self.merged(x)  # type: ignore[no-any-return]
        total: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Add the branches' weights, their BatchNorms folded; the model must be in eval mode.

        Raises:
            ValueError: it is in training mode.
        """
        if self.merged is not None:
            return
        fold_batchnorm(self)
        merged, *others = (_layer_of(branch) for branch in self.branches)
        for other in others:
            assert merged.bias is not None
            assert other.bias is not None
            merged.weight = nn.Parameter(merged.weight + other.weight)
            merged.bias = nn.Parameter(merged.bias + other.bias)
        self.merged = merged
        self.branches = nn.ModuleList()


def _layer_of(branch: nn.Module) -> nn.Linear | nn.Conv2d:
    if isinstance(branch, LinearBN):
        return branch.linear
    assert isinstance(branch, ConvBN)
    return branch.conv


class CompactProduct(nn.Module):
    """The two factors in place of a hidden-to-output layer.

    For tokens (B, N, m * C) to (B, N, C), or as 1x1 convolutions (B, m * C, H, W) to (B, C, H, W).
    """

    def __init__(self, hidden: int, dim: int, *, tokens: bool) -> None:
        super().__init__()
        branch, width = LinearBN if tokens else ConvBN, bottleneck_width(hidden, dim)
        self.narrow = Parallel(*(branch(hidden, width) for _ in range(BRANCHES)))
        self.widen = Parallel(*(branch(width, dim) for _ in range(BRANCHES)))

    def forward(self, x: Tensor) -> Tensor:
        return self.widen(self.narrow(x))  # type: ignore[no-any-return]


def merge_branches(model: nn.Module) -> None:
    """Merge the parallel branches of every compact FFN, in place; the output and all other layers stay the same.

    What is left has the parameters that are published.

    Raises:
        ValueError: the model is in training mode.
    """
    for module in list(model.modules()):
        if isinstance(module, Parallel):
            module.take_export_form()
