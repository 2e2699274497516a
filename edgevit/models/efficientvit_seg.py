"""EfficientViT with its head for semantic segmentation: an image to logits for each eighth pixel.

State-dict keys and shapes equal those of the official repository (mit-han-lab/efficientvit). The last three stages are
brought to one width and to stride 8, added, refined by a few residual blocks, and classified.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.efficientvit import (
    VARIANTS,
    Activation,
    Branch,
    Config,
    ConvLayer,
    FusedMBConv,
    MBConv,
    OpSequential,
    build_backbone,
    canonical_keys,
    gelu_tanh,
)

__all__ = ["EfficientViTSeg", "canonical_keys", "efficientvit_seg"]

CUBIC_A = -0.75
"""Parameter of Keys' kernel in PyTorch's bicubic interpolation."""


@functools.lru_cache(maxsize=16)
def bicubic_weights(length: int, scale: int) -> tuple[tuple[float, ...], ...]:
    """Return the (length * scale, length) matrix that enlarges one axis as F.interpolate(mode="bicubic") does.

    Pixel centres are aligned (align_corners=False) and the border is repeated. Kernel: Keys, Cubic convolution
    interpolation for digital image processing, 1981.
    """
    rows = []
    for i in range(length * scale):
        centre = (i + 0.5) / scale - 0.5
        first = int(centre // 1) - 1
        row = [0.0] * length
        for tap in range(first, first + 4):
            row[min(max(tap, 0), length - 1)] += _cubic(abs(centre - tap))
        rows.append(tuple(row))
    return tuple(rows)


def _cubic(x: float) -> float:
    a = CUBIC_A
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


class Upsample(nn.Module):
    """Enlarge (B, C, H, W) by a whole factor, bicubically.

    Its export form is two products with constant matrices, the same function: TFLite has no bicubic resize, and ONNX
    Runtime's is slow. The matrices are made for the size of the first input after that. Its channels-last form has
    them multiply (B, H, W, C), as TFLite's convolutions leave it, which saves two transpositions.
    """

    export_form: ClassVar[str] = "upsampling as products"

    upsample_rows: Tensor
    """(H * scale, H)"""
    upsample_columns: Tensor
    """(W, W * scale)"""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.as_products = self.channels_last = False
        self.size: tuple[int, int] | None = None
        """(H, W) that the matrices are for."""

    def take_export_form(self) -> None:
        """Use the products from now on."""
        self.as_products = True

    def take_channels_last_form(self) -> None:
        """Use the products for channels-last values from now on."""
        self.as_products = self.channels_last = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.as_products:
            return F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)
        size = (int(x.shape[2]), int(x.shape[3]))
        if size != self.size:
            rows, columns = (
                torch.tensor(bicubic_weights(side, self.scale), dtype=x.dtype, device=x.device) for side in size
            )
            # buffers, so that the graph has them under names that a quantizer can leave alone
            self.register_buffer("upsample_rows", rows)
            self.register_buffer("upsample_columns", columns.T.contiguous())
            self.size = size
        # columns first: there are few rows then, so it is the cheaper order
        if not self.channels_last:
            return self.upsample_rows @ (x @ self.upsample_columns)
        wide = self.upsample_columns.T @ x.permute(0, 2, 3, 1)  # (B, H, W * scale, C)
        tall = self.upsample_rows @ wide.flatten(2)  # (B, H * scale, W * scale * C)
        return torch.unflatten(tall, 2, wide.shape[2:]).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class HeadConfig:
    """One head."""

    width: int
    depth: int
    """Residual blocks."""
    expand: int
    """Expansion ratio of the blocks."""
    final_expand: int | None = None
    """Widening before the classifier; None for none."""


HEADS = {
    "b0_cityscapes": HeadConfig(32, 1, 4, 4),
    "b1_cityscapes": HeadConfig(64, 3, 4, 4),
    "b2_cityscapes": HeadConfig(96, 3, 4, 4),
    "b3_cityscapes": HeadConfig(128, 3, 4, 4),
    "l1_cityscapes": HeadConfig(256, 3, 1),
    "l2_cityscapes": HeadConfig(256, 5, 1),
    "b1_ade20k": HeadConfig(64, 3, 4),
    "b2_ade20k": HeadConfig(96, 3, 4),
    "b3_ade20k": HeadConfig(128, 3, 4),
    "l1_ade20k": HeadConfig(128, 3, 4, 8),
    "l2_ade20k": HeadConfig(128, 3, 4, 8),
}


class SegHead(nn.Module):
    """Stages at strides 8, 16 and 32 to logits (B, classes, H / 8, W / 8)."""

    def __init__(self, widths: tuple[int, int, int], config: HeadConfig, num_classes: int, *, large: bool) -> None:
        """Take `widths` of the stages at strides 8, 16 and 32."""
        super().__init__()
        act: Activation = gelu_tanh if large else nn.Hardswish
        width = config.width
        self.input_ops = nn.ModuleList(
            [
                OpSequential([ConvLayer(widths[2], width), Upsample(4)]),
                OpSequential([ConvLayer(widths[1], width), Upsample(2)]),
                ConvLayer(widths[0], width),
            ]
        )
        self.middle = OpSequential(
            [
                Branch(
                    FusedMBConv(width, width, 1, config.expand, act)
                    if large
                    else MBConv(width, width, 1, config.expand, act, fewer_norm=False)
                )
                for _ in range(config.depth)
            ]
        )
        final = width if config.final_expand is None else width * config.final_expand
        widening = [] if config.final_expand is None else [ConvLayer(width, final, act=act)]
        self.output_ops = nn.ModuleList(
            [OpSequential([*widening, ConvLayer(final, num_classes, bias=True, norm=False)])]
        )

    def forward(self, stages: list[Tensor]) -> Tensor:
        stage2, stage3, stage4 = stages
        coarse, medium, fine = self.input_ops
        x = coarse(stage4) + (medium(stage3) + fine(stage2))
        return self.output_ops[0](self.middle(x))  # type: ignore[no-any-return]


class EfficientViTSeg(nn.Module):
    """Segmentation: (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes, H / 8, W / 8)."""

    def __init__(self, config: Config, head: HeadConfig, num_classes: int) -> None:
        super().__init__()
        self.backbone = build_backbone(config)
        self.head = SegHead(config.widths[2:], head, num_classes, large=config.large)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = config.norm_eps

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))  # type: ignore[no-any-return]


def efficientvit_seg(variant: str, num_classes: int) -> EfficientViTSeg:
    """Build the model named by `variant`, a backbone and a head: b0_cityscapes, ..., l2_ade20k."""
    return EfficientViTSeg(VARIANTS[variant.partition("_")[0]], HEADS[variant], num_classes)
