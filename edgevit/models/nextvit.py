"""Next-ViT: blocks of grouped convolution, and blocks that mix attention with it (arXiv 2207.05501); hallucinated twin.

State-dict keys and shapes equal those of the official repository (bytedance/Next-ViT). The twin (`hallucinated.py`,
`compact_ffn.py`) has the same names; its `e_mhsa.q` and `e_mhsa.k` are for half of the heads, and `mlp.conv2` is in two
factors in both kinds of blocks. The convolution half of a mixed block stays as it is: it has no maps.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.compact_ffn import CompactProduct
from edgevit.models.hallucinated import Hallucination, attend
from edgevit.models.layers import FoldPairs, LeadPairs, TokenNorm, draw_linear_weights

HEAD_DIM = 32
"""Channels of an attention head, and of a convolution's group."""
MIX = 0.75
"""Share of a mixed block's channels that come from attention."""


class ConvBNReLU(nn.Module):
    """3x3 convolution, BatchNorm, ReLU."""

    fold_pairs: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class PatchEmbed(nn.Module):
    """2x2 mean for stride 2, then 1x1 convolution and BatchNorm; nothing where neither size nor width changes."""

    fold_pairs: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        changes = stride > 1 or channels != out_channels
        self.stride = stride
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=False) if changes else nn.Identity()
        self.norm = nn.BatchNorm2d(out_channels) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2) if self.stride > 1 else x
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


class ConvAttention(nn.Module):
    """The paper's multi-head convolutional attention: grouped 3x3 convolution, BatchNorm, ReLU, 1x1 convolution."""

    fold_pairs: ClassVar[FoldPairs] = (("group_conv3x3", "norm"),)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.group_conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim // HEAD_DIM, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.projection = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(F.relu(self.norm(self.group_conv3x3(x))))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """1x1 convolution, ReLU, 1x1 convolution."""

    def __init__(self, dim: int, hidden: int, *, compact: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, hidden, 1)
        self.conv2 = CompactProduct(hidden, dim, tokens=False) if compact else nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))  # type: ignore[no-any-return]


class ConvBlock(nn.Module):
    """Convolutional attention and MLP, each with a residual: (B, C, H, W) to (B, C', H / stride, W / stride)."""

    lead_pairs: ClassVar[LeadPairs] = (("norm", ("mlp.conv1",)),)

    def __init__(self, channels: int, dim: int, stride: int, *, hallucinated: bool) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(channels, dim, stride)
        self.mhca = ConvAttention(dim)
        self.norm = nn.BatchNorm2d(dim)
        self.mlp = Mlp(dim, 3 * dim, compact=hallucinated)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = x + self.mhca(x)
        return x + self.mlp(self.norm(x))  # type: ignore[no-any-return]


class RunMean(nn.Module):
    """Mean of each run of tokens: (B, N, C) to (B, N / length, C)."""

    export_form: ClassVar[str] = "channels last"

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.token_major = False

    def forward(self, x: Tensor) -> Tensor:
        if self.token_major:
            b, n, c = x.shape
            return x.reshape(b, n // self.length, self.length, c).mean(dim=2)
        # rounds as the official model does
        return F.avg_pool1d(x.transpose(1, 2), self.length, self.length).transpose(1, 2)

    def take_export_form(self) -> None:
        """Leave the channels last, which spares two transposes."""
        self.token_major = True


class Attention(nn.Module):
    """Multi-head attention to tokens pooled in runs of s * s, in row order: (B, N, C) to (B, N, C)."""

    export_form: ClassVar[str] = "scaled queries"

    def __init__(self, dim: int, reduction: int, *, hallucinated: bool = False) -> None:
        super().__init__()
        self.heads = dim // HEAD_DIM  # always even, so that none is split
        self.split = False
        self.scale = HEAD_DIM**-0.5
        self.real_heads = self.heads // 2 if hallucinated else self.heads
        self.reduction = reduction
        self.q = nn.Linear(dim, HEAD_DIM * self.real_heads)
        self.k = nn.Linear(dim, HEAD_DIM * self.real_heads)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.pool = RunMean(reduction**2) if reduction > 1 else nn.Identity()
        self.norm = TokenNorm(dim) if reduction > 1 else nn.Identity()
        self.maps = Hallucination(self.real_heads, HEAD_DIM) if hallucinated else None

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        b, n, c = x.shape
        q = self.q(x).reshape(b, n, self.real_heads, HEAD_DIM).transpose(1, 2)  # (B, real heads, N, d)
        x = self.norm(self.pool(x))  # (B, M, C)
        k = self.k(x).reshape(b, -1, self.real_heads, HEAD_DIM).transpose(1, 2)  # (B, real heads, M, d)
        v = self.v(x).reshape(b, -1, self.heads, HEAD_DIM).transpose(1, 2)  # (B, heads, M, d)
        reduced = (grid[0] // self.reduction, grid[1] // self.reduction)
        return self.proj(attend(q, k, v, scale=self.scale, maps=self.maps, grid=reduced))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the scale into the weights that make the queries."""
        self.q.weight.mul_(self.scale)
        self.q.bias.mul_(self.scale)
        self.scale = 1.0


class TransformerBlock(nn.Module):
    """Attention, then convolutional attention on a narrower projection of it, both kept; then an MLP."""

    lead_pairs: ClassVar[LeadPairs] = (
        # the inner one first: what it reads has passed the outer one
        ("e_mhsa.norm", ("e_mhsa.k", "e_mhsa.v")),
        ("norm1", ("e_mhsa.q", "e_mhsa.k", "e_mhsa.v")),
        ("norm2", ("mlp.conv1",)),
    )

    def __init__(self, channels: int, dim: int, stride: int, reduction: int, *, hallucinated: bool) -> None:
        super().__init__()
        attention = round(MIX * dim / HEAD_DIM) * HEAD_DIM
        self.patch_embed = PatchEmbed(channels, attention, stride)
        self.norm1 = nn.BatchNorm2d(attention)
        self.e_mhsa = Attention(attention, reduction, hallucinated=hallucinated)
        self.projection = PatchEmbed(attention, dim - attention)
        self.mhca = ConvAttention(dim - attention)
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = Mlp(dim, 2 * dim, compact=hallucinated)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        b, c, h, w = x.shape
        tokens = self.norm1(x).permute(0, 2, 3, 1).reshape(b, h * w, c)
        x = x + self.e_mhsa(tokens, (int(h), int(w))).reshape(b, h, w, c).permute(0, 3, 1, 2)
        local = self.projection(x)
        x = torch.cat((x, local + self.mhca(local)), dim=1)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Stage:
    """Some convolution blocks, then one transformer block; the pattern repeats."""

    conv_blocks: int
    dim: int
    """Channels of the convolution blocks."""
    mixed_dim: int | None
    """Channels of the transformer block; None for a stage without one."""
    reduction: int
    repeats: int = 1


class NextViT(nn.Module):
    """Classifier: (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes)."""

    lead_pairs: ClassVar[LeadPairs] = (("norm", ("proj_head.0",)),)

    def __init__(self, stages: tuple[Stage, ...], num_classes: int = 1000, *, hallucinated: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvBNReLU(3, 64, 2), ConvBNReLU(64, 32, 1), ConvBNReLU(32, 64, 1), ConvBNReLU(64, 64, 2)
        )
        blocks: list[nn.Module] = []
        channels = 64
        for number, stage in enumerate(stages):
            stride = 1 if number == 0 else 2
            for _ in range(stage.repeats):
                for _ in range(stage.conv_blocks):
                    blocks.append(ConvBlock(channels, stage.dim, stride, hallucinated=hallucinated))
                    channels, stride = stage.dim, 1
                if stage.mixed_dim is not None:
                    blocks.append(
                        TransformerBlock(channels, stage.mixed_dim, stride, stage.reduction, hallucinated=hallucinated)
                    )
                    channels = stage.mixed_dim
        self.features = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.proj_head = nn.Sequential(nn.Linear(channels, num_classes))
        draw_linear_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.features(self.stem(x)))
        return self.proj_head(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


VARIANTS = {
    "small": (Stage(3, 96, None, 8), Stage(3, 192, 256, 4), Stage(4, 384, 512, 2, repeats=2), Stage(2, 768, 1024, 1))
}
TWIN = "_hmhsa"


def nextvit(variant: str, num_classes: int = 1000) -> NextViT:
    """Build the Next-ViT named by `variant`: small, with `_hmhsa` its hallucinated twin."""
    return NextViT(VARIANTS[variant.removesuffix(TWIN)], num_classes, hallucinated=variant.endswith(TWIN))


TIMM_BLOCK = re.compile(r"^stages\.(\d+)\.blocks\.(\d+)\.")
TIMM_FIRST = (0, 3, 7, 17)
"""Number of each stage's first block among all."""
TIMM_PARTS = {".mlp.fc1.": ".mlp.conv1.", ".mlp.fc2.": ".mlp.conv2."}


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the official keys, from those or from timm's names for the same layers."""
    return {_official_name(key): value for key, value in state.items()}


def _official_name(key: str) -> str:
    if (match := TIMM_BLOCK.match(key)) and int(match[1]) < len(TIMM_FIRST):
        key = f"features.{TIMM_FIRST[int(match[1])] + int(match[2])}.{key[match.end() :]}"
        for timm, official in TIMM_PARTS.items():
            key = key.replace(timm, official)
        return key
    return key.replace("head.fc.", "proj_head.0.", 1) if key.startswith("head.fc.") else key
