"""DeiT: a plain Vision Transformer (ICML 2021, arXiv 2012.12877), and its twin with hallucinated attention.

State-dict keys and shapes equal those of the official repository (facebookresearch/deit), which are timm's too. C is
the width, N = 1 + h * w the number of tokens: the class token, then patches of 16 pixels, row by row. The twin
(`hallucinated.py`, `compact_ffn.py`) has the same names; its `attn.qkv` makes queries and keys of half the heads, and
its `mlp.fc2` is in two factors.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.compact_ffn import CompactProduct
from edgevit.models.hallucinated import Hallucination, attend, even_heads
from edgevit.models.layers import ScalePairs, draw_linear_weights

PATCH = 16
"""Side of a patch in pixels."""
TRAINED_GRID = 14
"""Side of the position embedding's grid: the patches of the official input of 224 pixels."""


class Attention(nn.Module):
    """Multi-head self-attention: (B, N, C) to (B, N, C)."""

    export_form: ClassVar[str] = "scaled queries"

    def __init__(self, dim: int, heads: int, *, hallucinated: bool = False) -> None:
        super().__init__()
        self.heads = even_heads(heads) if hallucinated else heads
        self.split = self.heads != heads
        self.scale = (dim // self.heads) ** -0.5
        self.real_heads = self.heads // 2 if hallucinated else self.heads
        self.qk_dim = dim // self.heads * self.real_heads
        self.qkv = nn.Linear(dim, 2 * self.qk_dim + dim)
        self.proj = nn.Linear(dim, dim)
        self.maps = Hallucination(self.real_heads, dim // self.heads) if hallucinated else None

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Let all tokens attend to all, those of grid = (h, w) and the class token."""
        b, n, c = x.shape
        q, k, v = torch.split(self.qkv(x), [self.qk_dim, self.qk_dim, c], dim=2)
        q = q.reshape(b, n, self.real_heads, -1).transpose(1, 2)  # (B, real heads, N, d)
        k = k.reshape(b, n, self.real_heads, -1).transpose(1, 2)
        v = v.reshape(b, n, self.heads, -1).transpose(1, 2)  # (B, heads, N, d)
        if self.scale != 1.0:
            q = q * self.scale
        return self.proj(attend(q, k, v, maps=self.maps, grid=grid))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the scale into the weights that make the queries."""
        self.qkv.weight[: self.qk_dim] *= self.scale
        self.qkv.bias[: self.qk_dim] *= self.scale
        self.scale = 1.0


class Mlp(nn.Module):
    """Linear, GELU, linear: (B, N, C) to (B, N, C)."""

    def __init__(self, dim: int, hidden: int, *, compact: bool = False) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = CompactProduct(hidden, dim, tokens=True) if compact else nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a residual."""

    scale_pairs: ClassVar[ScalePairs] = (("norm1", "attn.qkv"), ("norm2", "mlp.fc1"))

    def __init__(self, dim: int, heads: int, *, hallucinated: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, hallucinated=hallucinated)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 4 * dim, compact=hallucinated)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = x + self.attn(self.norm1(x), grid)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """(B, 3, H, W) to (B, C, H / 16, W / 16)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)  # type: ignore[no-any-return]


class DeiT(nn.Module):
    """Classifier: (B, 3, H, W), H and W multiples of 16, to logits (B, num_classes)."""

    export_form: ClassVar[str] = "constant positions"

    resized_embed: Tensor
    """(1, N, C), for the first size after taking the export form."""

    def __init__(self, dim: int, heads: int, num_classes: int = 1000, *, hallucinated: bool = False) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TRAINED_GRID**2, dim))
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.ModuleList(Block(dim, heads, hallucinated=hallucinated) for _ in range(12))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)
        self.fixed_grid: tuple[int, int] | None = None
        self.takes_constants = False
        draw_linear_weights(self)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x)
        b, _, h, w = patches.shape
        position = self.position((int(h), int(w)))
        token = (self.cls_token + position[:, :1]).expand(b, -1, -1)
        x = torch.cat((token, patches.flatten(2).transpose(1, 2) + position[:, 1:]), dim=1)
        for block in self.blocks:
            x = block(x, (int(h), int(w)))
        # a slice, since an index is exported as a Gather
        return self.head(self.norm(x[:, :1].flatten(1)))  # type: ignore[no-any-return]

    def position(self, grid: tuple[int, int]) -> Tensor:
        """Return the position embedding of the class token and a grid (h, w): (1, N, C).

        Other grids than 14x14 take it scaled bicubically, with smoothing where it shrinks.
        """
        if grid == (TRAINED_GRID, TRAINED_GRID):
            return self.pos_embed
        if grid == self.fixed_grid:
            return self.resized_embed
        image = self.pos_embed[:, 1:].reshape(1, TRAINED_GRID, TRAINED_GRID, -1).permute(0, 3, 1, 2)
        image = F.interpolate(image, grid, mode="bicubic", antialias=True, align_corners=False)
        position = torch.cat((self.pos_embed[:, :1], image.flatten(2).transpose(1, 2)), dim=1)
        if self.takes_constants:
            self.register_buffer("resized_embed", position.detach().clone())
            self.fixed_grid = grid
        return position

    def take_export_form(self) -> None:
        """Keep the scaled position embedding of the next input's size as a constant: neither format can compute it."""
        self.takes_constants = True


VARIANTS = {"tiny": (192, 3), "small": (384, 6)}
"""Width and number of heads."""
TWIN = "_hmhsa"


def deit(variant: str, num_classes: int = 1000) -> DeiT:
    """Build the DeiT named by `variant`: tiny or small, with `_hmhsa` its hallucinated twin."""
    dim, heads = VARIANTS[variant.removesuffix(TWIN)]
    return DeiT(dim, heads, num_classes, hallucinated=variant.endswith(TWIN))


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict as it is: timm's names are the official ones."""
    return state
