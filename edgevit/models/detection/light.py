"""edgevit's own detector: a backbone, LightPAN, and YOLOX' head with depthwise convolutions and ReLU.

No official repository has detectors of EfficientViT or SBCFormer: backbone and head are theirs and YOLOX', how they are
put together is defined here. All answers leave as numbers of their own, since they would spoil each other's int8 scale.
"""

from torch import Tensor, nn

from edgevit.models.detection.light_pan import LightPAN
from edgevit.models.detection.yolox_head import YoloxHead

WIDTH = 96
"""Channels of neck and head."""


class LightDetector(nn.Module):
    """Maps (B, 3, H, W), H and W multiples of 32, to raw boxes, objectness and scores as YoloxHead answers them."""

    def __init__(self, backbone: nn.Module, levels: tuple[int, ...], num_classes: int) -> None:
        """Take a backbone that gives features of `levels` channels at strides 8, 16 and 32."""
        super().__init__()
        self.backbone = backbone
        self.neck = LightPAN(levels, WIDTH)
        self.head = YoloxHead(num_classes, WIDTH, depthwise=True, act=nn.ReLU)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.head(self.neck(self.backbone(x)))  # type: ignore[no-any-return]
