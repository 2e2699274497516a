"""RetinaNet (arXiv 1708.02002) with a feature pyramid of five levels: names and arithmetic of MMDetection 3.3.0.

MMDetection (github.com/open-mmlab/mmdetection) is Apache-2.0. Most of the work is the head: eight 3x3 convolutions of
256 channels, on the finest level alone more than the whole of a small backbone.
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.detection.layers import join_places
from edgevit.models.detection.light_pan import double

WIDTH = 256
"""Channels of pyramid and head."""
ANCHORS = 9
"""Boxes that each place starts from: three heights per width, each in three sizes."""
PRIOR = 0.01
"""The score that every anchor starts training with: most have no object."""


class Conv(nn.Module):
    """Convolution with bias and "same" padding, under MMDetection's name."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


class FeaturePyramid(nn.Module):
    """Features at strides 8, 16 and 32 to five levels (B, 256, ., .), at strides 8 to 128.

    The two coarsest are convolutions of the backbone's last features, with no activation between them.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(Conv(channels, WIDTH, 1) for channels in levels)
        self.fpn_convs = nn.ModuleList(
            [*(Conv(WIDTH, WIDTH, 3) for _ in levels), Conv(levels[-1], WIDTH, 3, 2), Conv(WIDTH, WIDTH, 3, 2)]
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        l3, l4, l5 = (lateral(x) for lateral, x in zip(self.lateral_convs, features, strict=True))
        l4 = l4 + double(l5)
        l3 = l3 + double(l4)
        smooth3, smooth4, smooth5, to6, to7 = self.fpn_convs
        p6 = to6(features[-1])
        return [smooth3(l3), smooth4(l4), smooth5(l5), p6, to7(p6)]


class RetinaHead(nn.Module):
    """Features of five levels to raw boxes (B, N, 4) and logits (B, N, num_classes), all levels by the same weights.

    N counts anchors: level by level, row by row, the nine of a place together. A box is the difference from its anchor.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.cls_convs = nn.ModuleList(Conv(WIDTH, WIDTH, 3) for _ in range(4))
        self.reg_convs = nn.ModuleList(Conv(WIDTH, WIDTH, 3) for _ in range(4))
        self.retina_cls = nn.Conv2d(WIDTH, ANCHORS * num_classes, 3, padding=1)
        self.retina_reg = nn.Conv2d(WIDTH, ANCHORS * 4, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.retina_cls.bias, math.log(PRIOR / (1 - PRIOR)))  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        boxes = join_places((self.retina_reg(_tower(self.reg_convs, x)) for x in features), 4)
        scores = join_places((self.retina_cls(_tower(self.cls_convs, x)) for x in features), self.num_classes)
        return boxes, scores


def _tower(convs: nn.ModuleList, x: Tensor) -> Tensor:
    for conv in convs:
        x = F.relu(conv(x))
    return x


class RetinaNet(nn.Module):
    """Maps (B, 3, H, W), H and W multiples of 32, to raw boxes and logits as RetinaHead answers them."""

    def __init__(self, backbone: nn.Module, levels: Sequence[int], num_classes: int) -> None:
        """Take a backbone that gives features of `levels` channels at strides 8, 16 and 32."""
        super().__init__()
        self.backbone = backbone
        self.neck = FeaturePyramid(levels)
        self.bbox_head = RetinaHead(num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.bbox_head(self.neck(self.backbone(x)))  # type: ignore[no-any-return]
