"""PVTv2: a pyramid of attention with spatially reduced keys (CVMJ 2022, arXiv 2106.13797), and its hallucinated twin.

State-dict keys and shapes equal those of the official repository (whai362/PVT). A stage has tokens (B, N, C), row by
row over a grid (h, w); its keys and values come from the grid reduced s times. The twin (`hallucinated.py`,
`compact_ffn.py`) has the same names; its `attn.q` and the first rows of `attn.kv` are for half of the heads, and its
`mlp.fc2` is in two factors.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.compact_ffn import CompactProduct
from edgevit.models.hallucinated import Hallucination, attend, even_heads
from edgevit.models.layers import draw_linear_weights

Grid = tuple[int, int]


def to_image(tokens: Tensor, grid: Grid) -> Tensor:
    """Return (B, N, C) as (B, C, h, w)."""
    b, _, c = tokens.shape
    return tokens.reshape(b, *grid, c).permute(0, 3, 1, 2)


def to_tokens(image: Tensor) -> Tensor:
    """Return (B, C, h, w) as (B, N, C)."""
    b, c, h, w = image.shape
    return image.permute(0, 2, 3, 1).reshape(b, h * w, c)


class Attention(nn.Module):
    """Multi-head attention to the reduced grid: (B, N, C) to (B, N, C)."""

    export_form: ClassVar[str] = "scaled queries"

    def __init__(self, dim: int, heads: int, reduction: int, *, hallucinated: bool = False) -> None:
        super().__init__()
        self.heads = even_heads(heads) if hallucinated else heads
        self.split = self.heads != heads
        self.scale = (dim // self.heads) ** -0.5
        self.real_heads = self.heads // 2 if hallucinated else self.heads
        self.qk_dim = dim // self.heads * self.real_heads
        self.reduction = reduction
        self.q = nn.Linear(dim, self.qk_dim)
        self.kv = nn.Linear(dim, self.qk_dim + dim)
        self.proj = nn.Linear(dim, dim)
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction)
            self.norm = nn.LayerNorm(dim)
        self.maps = Hallucination(self.real_heads, dim // self.heads) if hallucinated else None

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        b, n, c = x.shape
        q = self.q(x).reshape(b, n, self.real_heads, -1).transpose(1, 2)  # (B, real heads, N, d)
        if self.reduction > 1:
            x = self.norm(to_tokens(self.sr(to_image(x, grid))))  # (B, M, C)
            grid = (grid[0] // self.reduction, grid[1] // self.reduction)
        m = x.shape[1]
        k, v = torch.split(self.kv(x), [self.qk_dim, c], dim=2)
        k = k.reshape(b, m, self.real_heads, -1).transpose(1, 2)  # (B, real heads, M, d)
        v = v.reshape(b, m, self.heads, -1).transpose(1, 2)  # (B, heads, M, d)
        return self.proj(attend(q, k, v, scale=self.scale, maps=self.maps, grid=grid))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the scale into the weights that make the queries."""
        self.q.weight.mul_(self.scale)
        self.q.bias.mul_(self.scale)
        self.scale = 1.0


class DepthwiseConv(nn.Module):
    """3x3 depthwise convolution of tokens on their grid."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        return to_tokens(self.dwconv(to_image(x, grid)))


class Mlp(nn.Module):
    """Linear, 3x3 depthwise convolution, GELU, linear: (B, N, C) to (B, N, C)."""

    def __init__(self, dim: int, hidden: int, *, compact: bool = False) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = CompactProduct(hidden, dim, tokens=True) if compact else nn.Linear(hidden, dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        return self.fc2(F.gelu(self.dwconv(self.fc1(x), grid)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a residual."""

    def __init__(self, stage: "Stage", *, hallucinated: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(stage.dim, eps=1e-6)
        self.attn = Attention(stage.dim, stage.heads, stage.reduction, hallucinated=hallucinated)
        self.norm2 = nn.LayerNorm(stage.dim, eps=1e-6)
        self.mlp = Mlp(stage.dim, stage.mlp_ratio * stage.dim, compact=hallucinated)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        x = x + self.attn(self.norm1(x), grid)
        return x + self.mlp(self.norm2(x), grid)  # type: ignore[no-any-return]


class OverlapPatchEmbed(nn.Module):
    """A strided convolution with overlapping windows, then LayerNorm: an image to tokens and their grid."""

    def __init__(self, channels: int, dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(dim)  # its epsilon, like the one after the reduction, is 1e-5; all others are 1e-6

    def forward(self, x: Tensor) -> tuple[Tensor, Grid]:
        image = self.proj(x)
        return self.norm(to_tokens(image)), (int(image.shape[2]), int(image.shape[3]))


@dataclass(frozen=True)
class Stage:
    """One stage of the pyramid."""

    dim: int
    heads: int
    mlp_ratio: int
    reduction: int
    """How much coarser the grid of keys and values is, on each side."""
    depth: int = 2


class PVTv2(nn.Module):
    """Classifier: (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes)."""

    def __init__(self, stages: tuple[Stage, ...], num_classes: int = 1000, *, hallucinated: bool = False) -> None:
        super().__init__()
        channels = 3
        for number, stage in enumerate(stages, start=1):
            kernel, stride = (7, 4) if number == 1 else (3, 2)
            blocks = nn.ModuleList(Block(stage, hallucinated=hallucinated) for _ in range(stage.depth))
            self.add_module(f"patch_embed{number}", OverlapPatchEmbed(channels, stage.dim, kernel, stride))
            self.add_module(f"block{number}", blocks)
            self.add_module(f"norm{number}", nn.LayerNorm(stage.dim, eps=1e-6))
            channels = stage.dim
        self.stages = len(stages)
        self.head = nn.Linear(channels, num_classes)
        draw_linear_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(1, self.stages + 1):
            tokens, grid = self.get_submodule(f"patch_embed{number}")(x)
            for block in self.get_submodule(f"block{number}").children():
                tokens = block(tokens, grid)
            tokens = self.get_submodule(f"norm{number}")(tokens)
            x = to_image(tokens, grid)
        return self.head(tokens.mean(dim=1))  # type: ignore[no-any-return]


VARIANTS = {"b1": (Stage(64, 1, 8, 8), Stage(128, 2, 8, 4), Stage(320, 5, 4, 2), Stage(512, 8, 4, 1))}
TWIN = "_hmhsa"


def pvt(variant: str, num_classes: int = 1000) -> PVTv2:
    """Build the PVTv2 named by `variant`: b1, with `_hmhsa` its hallucinated twin."""
    return PVTv2(VARIANTS[variant.removesuffix(TWIN)], num_classes, hallucinated=variant.endswith(TWIN))


TIMM_STAGE = re.compile(r"^stages\.(\d+)\.(downsample|blocks|norm)\.")
TIMM_PARTS = {"downsample": "patch_embed", "blocks": "block", "norm": "norm"}


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the official keys, from those or from timm's names for the same layers."""
    return {_official_name(key): value for key, value in state.items()}


def _official_name(key: str) -> str:
    if key.startswith("patch_embed."):
        return key.replace("patch_embed.", "patch_embed1.", 1)
    if match := TIMM_STAGE.match(key):
        name = f"{TIMM_PARTS[match[2]]}{int(match[1]) + 1}.{key[match.end() :]}"
        return re.sub(r"\.mlp\.dwconv\.(weight|bias)$", r".mlp.dwconv.dwconv.\1", name)
    return key
