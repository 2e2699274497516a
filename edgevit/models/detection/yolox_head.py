"""YOLOX' decoupled head: for each place of each level a box, whether an object is there, and of which class.

YOLOX (arXiv 2107.08430), official code github.com/Megvii-BaseDetection/YOLOX, Apache-2.0, whose names are used here.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from edgevit.models.detection.layers import Activation, ConvAct, DepthwiseConvAct, join_places

PRIOR = 0.01
"""The score that every place starts training with: most places have no object."""


class YoloxHead(nn.Module):
    """Features of several levels to raw boxes (B, N, 4), objectness (B, N, 1) and scores (B, N, num_classes).

    N is the number of places, row by row, the finest level first. A box is x, y, log width, log height in units of
    the level's stride, from the upper left corner of its place; objectness and scores are logits. Levels share no
    weights.
    """

    def __init__(
        self,
        num_classes: int,
        width: int,
        levels: Sequence[int] = (),
        *,
        count: int = 3,
        depthwise: bool,
        act: Activation,
    ) -> None:
        """Take features of `levels` channels each, or, if empty, `count` levels that are `width` wide already."""
        super().__init__()
        self.num_classes = num_classes
        conv = DepthwiseConvAct if depthwise else ConvAct

        def tower() -> nn.Sequential:
            return nn.Sequential(conv(width, width, 3, act=act), conv(width, width, 3, act=act))

        count = len(levels) or count
        if levels:
            self.stems: nn.ModuleList | None = nn.ModuleList(
                ConvAct(channels, width, 1, act=act) for channels in levels
            )
        else:
            self.stems = None
        self.cls_convs = nn.ModuleList(tower() for _ in range(count))
        self.reg_convs = nn.ModuleList(tower() for _ in range(count))
        self.cls_preds = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for _ in range(count))
        self.reg_preds = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in range(count))
        self.obj_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(count))
        for layer in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(layer.bias, math.log(PRIOR / (1 - PRIOR)))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        if self.stems is not None:
            features = [stem(x) for stem, x in zip(self.stems, features, strict=True)]
        classes = [tower(x) for tower, x in zip(self.cls_convs, features, strict=True)]
        regions = [tower(x) for tower, x in zip(self.reg_convs, features, strict=True)]
        boxes = join_places((pred(x) for pred, x in zip(self.reg_preds, regions, strict=True)), 4)
        objectness = join_places((pred(x) for pred, x in zip(self.obj_preds, regions, strict=True)), 1)
        scores = join_places((pred(x) for pred, x in zip(self.cls_preds, classes, strict=True)), self.num_classes)
        return boxes, objectness, scores
