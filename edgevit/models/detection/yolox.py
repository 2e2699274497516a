"""YOLOX nano and tiny: a CSP Darknet, a path aggregation network, the decoupled head (arXiv 2107.08430).

State-dict keys and shapes equal those of the official repository (Megvii-BaseDetection/YOLOX, Apache-2.0), so that its
weights for COCO load as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgevit.models.detection.layers import ConvAct, DepthwiseConvAct
from edgevit.models.detection.light_pan import double
from edgevit.models.detection.yolox_head import YoloxHead

Conv = Callable[[int, int, int, int], nn.Module]
"""Makes a convolution of (in_channels, out_channels, kernel, stride)."""

POOLS = (5, 9, 13)
"""Sides of the windows that the last stage looks for maxima in."""


def conv1(in_channels: int, out_channels: int) -> ConvAct:
    return ConvAct(in_channels, out_channels, 1, act=nn.SiLU)


class Focus(nn.Module):
    """The four pixels of every 2x2 square as channels of one, then a 3x3 convolution: (B, 3, H, W) to (B, C, H/2, W/2).

    Its export form is the same as one 6x6 convolution of stride 2, without the strided slices.
    """

    export_form: ClassVar[str] = "first convolution of stride 2"

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvAct(12, out_channels, 3, act=nn.SiLU)
        self.whole = False
        """Whether the convolution takes the picture itself."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.whole:
            corners = [x[..., dy::2, dx::2] for dx in (0, 1) for dy in (0, 1)]
            x = torch.cat(corners, dim=1)
        return self.conv(x)  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Spread the weights (C, 12, 3, 3) over (C, 3, 6, 6), in place."""
        if self.whole:
            return
        small = self.conv.conv
        large = nn.Conv2d(3, small.out_channels, 6, 2, 2, bias=small.bias is not None).to(small.weight)
        for place, corner in enumerate(torch.split(small.weight, 3, dim=1)):
            large.weight[:, :, place % 2 :: 2, place // 2 :: 2] = corner
        if large.bias is not None and small.bias is not None:
            large.bias.copy_(small.bias)
        self.conv.conv, self.whole = large, True


class Bottleneck(nn.Module):
    """1x1, then 3x3; plus the input where wanted."""

    def __init__(self, channels: int, conv: Conv, *, residual: bool) -> None:
        super().__init__()
        self.conv1 = conv1(channels, channels)
        self.conv2 = conv(channels, channels, 3, 1)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return x + y if self.residual else y


class CSPLayer(nn.Module):
    """Half of the channels through `depth` bottlenecks, half past them, joined and mixed."""

    def __init__(self, in_channels: int, out_channels: int, depth: int, conv: Conv, *, residual: bool) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.conv1, self.conv2 = conv1(in_channels, hidden), conv1(in_channels, hidden)
        self.conv3 = conv1(2 * hidden, out_channels)
        self.m = nn.Sequential(*(Bottleneck(hidden, conv, residual=residual) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), dim=1))  # type: ignore[no-any-return]


class SpatialPyramidPooling(nn.Module):
    """What is strongest within windows of POOLS, beside each pixel itself: (B, C, H, W) to (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = conv1(channels, hidden)
        self.m = nn.ModuleList(nn.MaxPool2d(side, 1, side // 2) for side in POOLS)
        self.conv2 = conv1((1 + len(POOLS)) * hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(pool(x) for pool in self.m)], dim=1))  # type: ignore[no-any-return]


class CSPDarknet(nn.Module):
    """Five stages of stride 2; from (B, 3, H, W) to what the last three give, at strides 8, 16 and 32."""

    def __init__(self, base: int, depth: int, conv: Conv) -> None:
        """Start with `base` channels, which each stage doubles; `depth` scales the bottlenecks in a stage."""
        super().__init__()
        layer = partial(CSPLayer, conv=conv)
        self.stem = Focus(base)
        self.dark2 = nn.Sequential(conv(base, 2 * base, 3, 2), layer(2 * base, 2 * base, depth, residual=True))
        self.dark3 = nn.Sequential(conv(2 * base, 4 * base, 3, 2), layer(4 * base, 4 * base, 3 * depth, residual=True))
        self.dark4 = nn.Sequential(conv(4 * base, 8 * base, 3, 2), layer(8 * base, 8 * base, 3 * depth, residual=True))
        self.dark5 = nn.Sequential(
            conv(8 * base, 16 * base, 3, 2),
            SpatialPyramidPooling(16 * base),
            layer(16 * base, 16 * base, depth, residual=False),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3 = self.dark3(self.dark2(self.stem(x)))
        c4 = self.dark4(c3)
        return c3, c4, self.dark5(c4)


class PathAggregation(nn.Module):
    """The backbone, its levels mixed from the coarsest down and up again: (B, 3, H, W) to features at three strides."""

    def __init__(self, base: int, depth: int, conv: Conv) -> None:
        super().__init__()
        c3, c4, c5 = 4 * base, 8 * base, 16 * base
        layer = partial(CSPLayer, depth=depth, conv=conv, residual=False)
        self.backbone = CSPDarknet(base, depth, conv)
        self.lateral_conv0 = conv1(c5, c4)
        self.C3_p4 = layer(2 * c4, c4)
        self.reduce_conv1 = conv1(c4, c3)
        self.C3_p3 = layer(2 * c3, c3)
        self.bu_conv2 = conv(c3, c3, 3, 2)
        self.C3_n3 = layer(2 * c3, c4)
        self.bu_conv1 = conv(c4, c4, 3, 2)
        self.C3_n4 = layer(2 * c4, c5)

    def forward(self, x: Tensor) -> list[Tensor]:
        c3, c4, c5 = self.backbone(x)
        narrow5 = self.lateral_conv0(c5)
        narrow4 = self.reduce_conv1(self.C3_p4(torch.cat((double(narrow5), c4), dim=1)))
        p3 = self.C3_p3(torch.cat((double(narrow4), c3), dim=1))
        n4 = self.C3_n3(torch.cat((self.bu_conv2(p3), narrow4), dim=1))
        n5 = self.C3_n4(torch.cat((self.bu_conv1(n4), narrow5), dim=1))
        return [p3, n4, n5]


class Yolox(nn.Module):
    """Maps (B, 3, H, W), H and W multiples of 32, to raw boxes, objectness and scores as YoloxHead answers them."""

    def __init__(self, config: "Config", num_classes: int) -> None:
        super().__init__()
        base = config.base
        conv = partial(DepthwiseConvAct if config.depthwise else ConvAct, act=nn.SiLU)
        self.backbone = PathAggregation(base, 1, conv)
        levels: Sequence[int] = (4 * base, 8 * base, 16 * base)
        self.head = YoloxHead(num_classes, 4 * base, levels, depthwise=config.depthwise, act=nn.SiLU)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.head(self.backbone(x))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Config:
    """One variant: channels of the first convolution, and whether 3x3 convolutions are depthwise."""

    base: int
    depthwise: bool


VARIANTS = {"nano": Config(16, depthwise=True), "tiny": Config(24, depthwise=False)}


def yolox(variant: str, num_classes: int) -> Yolox:
    """Build the YOLOX named by `variant`: nano or tiny."""
    return Yolox(VARIANTS[variant], num_classes)


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict as it is: no other names are known."""
    return state
