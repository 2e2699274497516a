"""LightPAN: features of three levels mixed both ways for little work, edgevit's own definition.

Down and up as in PANet (arXiv 1803.01534), but levels are added, not joined, and all convolutions that look around are
depthwise, 5x5: additions need no new scales in int8, and large kernels see far for few operations.
"""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.detection.layers import ConvAct, DepthwiseConvAct

KERNEL = 5


class LightPAN(nn.Module):
    """Maps (B, C3, H/8, W/8), (B, C4, H/16, W/16), (B, C5, H/32, W/32) to three of the same sizes, `width` wide."""

    def __init__(self, levels: Sequence[int], width: int) -> None:
        super().__init__()

        def mix(stride: int = 1) -> DepthwiseConvAct:
            return DepthwiseConvAct(width, width, KERNEL, stride, act=nn.ReLU)

        self.lateral = nn.ModuleList(ConvAct(channels, width, 1, act=nn.ReLU) for channels in levels)
        self.top_down = nn.ModuleList([mix(), mix()])
        self.down = nn.ModuleList([mix(2), mix(2)])
        self.bottom_up = nn.ModuleList([mix(), mix()])

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        l3, l4, l5 = (lateral(x) for lateral, x in zip(self.lateral, features, strict=True))
        p4 = self.top_down[1](l4 + double(l5))
        p3 = self.top_down[0](l3 + double(p4))
        n4 = self.bottom_up[0](p4 + self.down[0](p3))
        n5 = self.bottom_up[1](l5 + self.down[1](n4))
        return [p3, n4, n5]


def double(x: Tensor) -> Tensor:
    """Repeat every pixel of (B, C, H, W) twice each way."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
