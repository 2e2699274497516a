"""EfficientViT of MIT: multi-scale linear attention (ICCV 2023, arXiv 2205.14756).

State-dict keys and shapes equal those of the official repository (mit-han-lab/efficientvit). Not to be confused with
Microsoft's model of the same name. "Fewer norm" blocks have biased convolutions without BatchNorm.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.layers import FoldPairs

Activation = Callable[[], nn.Module]


def gelu_tanh() -> nn.Module:
    return nn.GELU(approximate="tanh")


class ConvLayer(nn.Module):
    """Convolution with "same" padding, then BatchNorm and an activation where wanted.

    Maps (B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    fold_pairs: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.act = nn.Identity() if act is None else act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))  # type: ignore[no-any-return]


class DSConv(nn.Module):
    """Depthwise 3x3, activation, 1x1."""

    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        self.depth_conv = ConvLayer(channels, channels, 3, groups=channels, act=act)
        self.point_conv = ConvLayer(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(x))  # type: ignore[no-any-return]


class MBConv(nn.Module):
    """1x1 expand, activation, depthwise 3x3, activation, 1x1 project."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand: int, act: Activation, *, fewer_norm: bool
    ) -> None:
        super().__init__()
        hidden = in_channels * expand
        bias, norm = fewer_norm, not fewer_norm
        self.inverted_conv = ConvLayer(in_channels, hidden, bias=bias, norm=norm, act=act)
        self.depth_conv = ConvLayer(hidden, hidden, 3, stride, groups=hidden, bias=bias, norm=norm, act=act)
        self.point_conv = ConvLayer(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(self.inverted_conv(x)))  # type: ignore[no-any-return]


class FusedMBConv(nn.Module):
    """3x3 expand, activation, 1x1 project."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expand: int, act: Activation) -> None:
        super().__init__()
        self.spatial_conv = ConvLayer(in_channels, in_channels * expand, 3, stride, act=act)
        self.point_conv = ConvLayer(in_channels * expand, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.spatial_conv(x))  # type: ignore[no-any-return]


class ResBlock(nn.Module):
    """Two 3x3 convolutions, an activation between them."""

    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3, act=act)
        self.conv2 = ConvLayer(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))  # type: ignore[no-any-return]


class Branch(nn.Module):
    """A residual branch, x + main(x); or main(x) alone where the shape changes."""

    def __init__(self, main: nn.Module, *, residual: bool = True) -> None:
        super().__init__()
        self.main = main
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x) if self.residual else self.main(x)  # type: ignore[no-any-return]


class LinearAttention(nn.Module):
    """ReLU attention, linear in the number of tokens N: sum_n v_n (k_n . q) / sum_n (k_n . q).

    It has no weights. It is a module of its own so that a quantizer can leave it alone by name: its products and its
    division need floating point.
    """

    export_form: ClassVar[str] = "least divisor"

    eps: float = 1e-15
    """Added to the divisor, as in the official code."""
    floored: bool = False
    """Whether eps is the least divisor instead of being added to it: the same but for sums near eps."""

    def take_export_form(self) -> None:
        """Make eps a floor: exporters drop additions up to 1e-8, and then a position without keys divides 0 by 0.

        Adding 1e-6 instead, which they keep, moves the logits of trained weights: there are sums that small.
        """
        self.floored = True

    def forward(self, qkv: Tensor) -> Tensor:
        """Map (B, heads, 3 * dim, N), each head's q, k and v in this order, to (B, heads, dim, N)."""
        dim, n = qkv.shape[2] // 3, qkv.shape[3]
        q, k, v = torch.split(qkv, dim, dim=2)
        q, k = F.relu(q), F.relu(k)
        if n > dim:
            v = F.pad(v, (0, 0, 0, 1), value=1.0)  # (B, heads, dim + 1, N): the last row sums the weights
            out = (v @ k.transpose(2, 3)) @ q
            return out[:, :, :-1] / self._divisor(out[:, :, -1:])
        weights = k.transpose(2, 3) @ q  # (B, heads, N keys, N queries)
        return v @ (weights / self._divisor(weights.sum(dim=2, keepdim=True)))

    def _divisor(self, total: Tensor) -> Tensor:
        return total.clamp(min=self.eps) if self.floored else total + self.eps


class LiteMLA(nn.Module):
    """Multi-scale linear attention: (B, C, H, W) to (B, C, H, W).

    The heads see q, k and v at every pixel and, a second set of heads, aggregated over a 5x5 neighbourhood.
    """

    def __init__(self, channels: int, dim: int, kernel: int = 5) -> None:
        super().__init__()
        heads = channels // dim
        self.dim = dim
        total = 3 * heads * dim
        self.qkv = ConvLayer(channels, total, norm=False)
        self.aggreg = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(total, total, kernel, padding=kernel // 2, groups=total, bias=False),
                    nn.Conv2d(total, total, 1, groups=3 * heads, bias=False),
                )
            ]
        )
        self.core = LinearAttention()
        self.proj = ConvLayer(2 * heads * dim, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        qkv = self.qkv(x)
        qkv = torch.cat([qkv, *(scale(qkv) for scale in self.aggreg)], dim=1)
        qkv = qkv.reshape(b, -1, 3 * self.dim, h * w)  # (B, 2 * heads, 3 * dim, N)
        if torch.amp.is_autocast_available(x.device.type) and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):  # the division overflows in half precision
                out = self.core(qkv.float())
        else:
            out = self.core(qkv)
        return self.proj(out.reshape(b, -1, h, w))  # type: ignore[no-any-return]


class EfficientViTBlock(nn.Module):
    """Linear attention for the context, an MBConv for the neighbourhood, each with a residual."""

    def __init__(self, channels: int, dim: int, expand: int, act: Activation) -> None:
        super().__init__()
        self.context_module = Branch(LiteMLA(channels, dim))
        self.local_module = Branch(MBConv(channels, channels, 1, expand, act, fewer_norm=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.local_module(self.context_module(x))  # type: ignore[no-any-return]


class OpSequential(nn.Module):
    """Modules one after another, under the official name `op_list`."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.op_list = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.op_list:
            x = module(x)
        return x


class BackboneB(nn.Module):
    """B series: a stride-2 stem, two MBConv stages, two stages with attention; strides 2, 4, 8, 16, 32."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], dim: int) -> None:
        super().__init__()
        act = nn.Hardswish
        stem = [Branch(DSConv(widths[0], act)) for _ in range(depths[0])]
        self.input_stem = OpSequential([ConvLayer(3, widths[0], 3, 2, act=act), *stem])
        stages = []
        for i in range(1, 5):
            attention = i >= 3
            first = MBConv(widths[i - 1], widths[i], 2, 4, act, fewer_norm=attention)
            blocks: list[nn.Module] = [Branch(first, residual=False)]
            for _ in range(depths[i] if attention else depths[i] - 1):
                blocks.append(
                    EfficientViTBlock(widths[i], dim, 4, act)
                    if attention
                    else Branch(MBConv(widths[i], widths[i], 1, 4, act, fewer_norm=False))
                )
            stages.append(OpSequential(blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the last three stages, at strides 8, 16 and 32."""
        return _run_stages(self.input_stem(x), self.stages)


class BackboneL(nn.Module):
    """L series: ResBlock, two FusedMBConv, MBConv and attention stages, with tanh GELU; strides 2 to 32."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], dim: int = 32) -> None:
        super().__init__()
        act = gelu_tanh
        stages = [
            OpSequential(
                [
                    ConvLayer(3, widths[0], 3, 2, act=act),
                    *(Branch(ResBlock(widths[0], act)) for _ in range(depths[0])),
                ]
            )
        ]
        for i in range(1, 5):
            expand = 6 if i == 4 else 4
            blocks: list[nn.Module] = []
            if i <= 2:
                blocks.append(Branch(FusedMBConv(widths[i - 1], widths[i], 2, 4 * expand, act), residual=False))
                blocks += [Branch(FusedMBConv(widths[i], widths[i], 1, expand, act)) for _ in range(depths[i])]
            else:
                first = MBConv(widths[i - 1], widths[i], 2, 4 * expand, act, fewer_norm=True)
                blocks.append(Branch(first, residual=False))
                for _ in range(depths[i]):
                    blocks.append(
                        EfficientViTBlock(widths[i], dim, expand, act)
                        if i == 4
                        else Branch(MBConv(widths[i], widths[i], 1, expand, act, fewer_norm=True))
                    )
            stages.append(OpSequential(blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the last three stages, at strides 8, 16 and 32."""
        return _run_stages(x, self.stages)


def _run_stages(x: Tensor, stages: nn.ModuleList) -> list[Tensor]:
    outputs = []
    for stage in stages:
        x = stage(x)
        outputs.append(x)
    return outputs[-3:]


class LinearLayer(nn.Module):
    """Fully connected layer, then LayerNorm and an activation where wanted: (B, in) to (B, out)."""

    def __init__(self, in_features: int, out_features: int, act: Activation | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=act is None)
        self.norm = nn.Identity() if act is None else nn.LayerNorm(out_features)
        self.act = nn.Identity() if act is None else act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.linear(x)))  # type: ignore[no-any-return]


class GlobalMean(nn.Module):
    """Mean over space: (B, C, H, W) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(-2, -1))


class EfficientViT(nn.Module):
    """Classifier: (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes)."""

    def __init__(self, config: "Config", num_classes: int = 1000) -> None:
        super().__init__()
        act: Activation = gelu_tanh if config.large else nn.Hardswish
        self.backbone = build_backbone(config)
        self.head = OpSequential(
            [
                ConvLayer(config.widths[-1], config.head[0], act=act),
                GlobalMean(),
                LinearLayer(config.head[0], config.head[1], act),
                LinearLayer(config.head[1], num_classes),
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.eps = config.norm_eps

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[-1])  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Config:
    """One variant: width and depth of each of the five stages, width of an attention head, widths of the classifier."""

    widths: tuple[int, int, int, int, int]
    depths: tuple[int, int, int, int, int]
    dim: int
    head: tuple[int, int]
    large: bool = False

    @property
    def norm_eps(self) -> float:
        return 1e-7 if self.large else 1e-5


def build_backbone(config: Config) -> nn.Module:
    """Build the stages, which give features at strides 8, 16 and 32."""
    series = BackboneL if config.large else BackboneB
    return series(config.widths, config.depths, config.dim)


VARIANTS = {
    "b0": Config((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 16, (1024, 1280)),
    "b1": Config((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 16, (1536, 1600)),
    "b2": Config((24, 48, 96, 192, 384), (1, 3, 4, 4, 6), 32, (2304, 2560)),
    "b3": Config((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), 32, (2304, 2560)),
    "l1": Config((32, 64, 128, 256, 512), (1, 1, 1, 6, 6), 32, (3072, 3200), large=True),
    "l2": Config((32, 64, 128, 256, 512), (1, 2, 2, 8, 8), 32, (3072, 3200), large=True),
    "l3": Config((64, 128, 256, 512, 1024), (1, 2, 2, 8, 8), 32, (6144, 6400), large=True),
}


def efficientvit(variant: str, num_classes: int = 1000) -> EfficientViT:
    """Build the EfficientViT classifier named by `variant`: b0 to b3, l1 to l3."""
    return EfficientViT(VARIANTS[variant], num_classes)


TIMM_HEAD = {
    "in_conv.": "op_list.0.",
    "classifier.0.": "op_list.2.linear.",
    "classifier.1.": "op_list.2.norm.",
    "classifier.4.": "op_list.3.linear.",
}
TIMM_STEM = re.compile(r"^stem\.(?:in_conv|res(\d+))\.")
TIMM_BLOCK = re.compile(r"^stages\.(\d+)\.blocks\.(\d+)\.")


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the official keys, from those or from timm's names for the same layers."""
    large = "stem.res0.main.conv1.conv.weight" in state  # the L series counts its stem as the first stage
    return {_official_name(key, large): value for key, value in state.items()}


def _official_name(key: str, large: bool) -> str:
    if match := TIMM_STEM.match(key):
        stem = "backbone.stages.0" if large else "backbone.input_stem"
        block = 0 if match[1] is None else int(match[1]) + 1
        return f"{stem}.op_list.{block}.{key[match.end() :]}"
    if match := TIMM_BLOCK.match(key):
        return f"backbone.stages.{int(match[1]) + large}.op_list.{match[2]}.{key[match.end() :]}"
    for timm, official in TIMM_HEAD.items():
        if key.startswith(f"head.{timm}"):
            return key.replace(timm, official, 1)
    return key
