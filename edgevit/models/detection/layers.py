"""Convolutions with an activation, under the names that YOLOX gives them, and how answers of several levels are joined.

YOLOX (arXiv 2107.08430), official code github.com/Megvii-BaseDetection/YOLOX, Apache-2.0.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgevit.models.layers import FoldPairs

Activation = Callable[[], nn.Module]

NORM_EPS = 1e-3
"""What YOLOX adds to the variances in BatchNorm."""


class ConvAct(nn.Module):
    """Convolution with "same" padding, BatchNorm, activation.

    Maps (B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    fold_pairs: ClassVar[FoldPairs] = (("conv", "bn"),)

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, act: Activation, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=NORM_EPS)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class DepthwiseConvAct(nn.Module):
    """Depthwise ConvAct, then one of 1x1: what ConvAct of a larger kernel does, for a fraction of its work."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, act: Activation) -> None:
        super().__init__()
        self.dconv = ConvAct(in_channels, in_channels, kernel, stride, act=act, groups=in_channels)
        self.pconv = ConvAct(in_channels, out_channels, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        return self.pconv(self.dconv(x))  # type: ignore[no-any-return]


def join_places(levels: Iterable[Tensor], width: int) -> Tensor:
    """Join maps (B, A * width, H, W) of several levels to (B, places, width).

    Places are row by row, the first level first; the A answers of one place follow each other.
    """
    rows = [x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width) for x in levels]
    return torch.cat(rows, dim=1)
