"""FasterViT's hierarchical attention: within windows, and among the carrier tokens that stand for the windows.

B is images, w the side of a window, C the width. A grid is the (rows, columns) of windows that cover an image; they lie
row by row in its part of the batch.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from edgevit.models.fastervit_position import AttentionBias, PositionEmbedding
from edgevit.models.layers import Mlp, drop_path

Grid = tuple[int, int]

CARRIER_SIDE = 2
"""A window has CARRIER_SIDE x CARRIER_SIDE carrier tokens."""
CARRIERS = CARRIER_SIDE**2


def to_windows(image: Tensor, side: int) -> Tensor:
    """Cut (B, H, W, C) into windows (B * rows * columns, side * side, C).

    Four axes are enough, as a window's row lies together in memory; runtimes on boards transpose no more of them.
    """
    b, h, w, c = image.shape
    strips = image.reshape(b * (h // side), side, w // side, side * c).transpose(1, 2)  # (B * rows, columns, side, ..)
    return strips.reshape(b * (h // side) * (w // side), side * side, c)


def from_windows(windows: Tensor, side: int, grid: Grid) -> Tensor:
    """Put windows (B * rows * columns, side * side, C) together to (B, rows * side, columns * side, C)."""
    rows, columns = grid
    count, _, c = windows.shape
    strips = windows.reshape(count // columns, columns, side, side * c).transpose(1, 2)  # (B * rows, side, columns, ..)
    return strips.reshape(count // (rows * columns), rows * side, columns * side, c)


class Attention(nn.Module):
    """Softmax attention among tokens, with a bias by their offset."""

    export_form: ClassVar[str] = "scaled queries"

    def __init__(self, dim: int, heads: int, tokens: int, side: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.pos_emb_funct = AttentionBias(heads, tokens, side)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, tokens, C) to the same shape."""
        b, n, c = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=2)
        q = q.reshape(b, n, self.heads, -1).transpose(1, 2)  # (B, heads, tokens, C / heads)
        k = k.reshape(b, n, self.heads, -1).permute(0, 2, 3, 1)  # (B, heads, C / heads, tokens)
        v = v.reshape(b, n, self.heads, -1).transpose(1, 2)
        scores = q @ k if self.scale == 1.0 else (q * self.scale) @ k
        attention = (scores + self.pos_emb_funct.value(n)).softmax(dim=-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, c))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the scale into the weights that make the queries."""
        rows = slice(0, self.proj.in_features)
        self.qkv.weight[rows] *= self.scale
        self.qkv.bias[rows] *= self.scale
        self.scale = 1.0


class HierarchicalBlock(nn.Module):
    """Attention among all carrier tokens of an image, then in each window among its carrier and its own tokens."""

    gamma1: nn.Parameter | None
    gamma2: nn.Parameter | None
    gamma3: nn.Parameter | None
    gamma4: nn.Parameter | None

    def __init__(
        self,
        dim: int,
        heads: int,
        side: int,
        *,
        grid: Grid | None,
        scaled: bool = False,
        propagates: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        """Build one block.

        Args:
            dim: C.
            heads: of both attentions.
            side: of a window.
            grid: of the windows whose carrier tokens exchange; None: windows without carrier tokens.
            scaled: multiply each branch by learned factors, starting small.
            propagates: add what the carrier tokens learned to the tokens of their windows at the end.
            drop_path: probability of leaving out a branch in training.
        """
        super().__init__()
        self.side, self.propagates, self.drop_path = side, propagates, drop_path
        self.pos_embed = PositionEmbedding(dim, side * side)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads, side * side + (CARRIERS if grid else 0), side)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        if grid:
            count = grid[0] * grid[1] * CARRIERS
            self.hat_norm1 = nn.LayerNorm(dim)
            self.hat_norm2 = nn.LayerNorm(dim)
            self.hat_attn = Attention(dim, heads, count)
            self.hat_mlp = Mlp(dim, 4 * dim)
            self.hat_pos_embed = PositionEmbedding(dim, count) if grid[0] == grid[1] else None
        for name in ("gamma1", "gamma2", "gamma3", "gamma4"):
            used = scaled and (grid is not None or name in ("gamma3", "gamma4"))
            self.register_parameter(name, nn.Parameter(1e-5 * torch.ones(dim)) if used else None)

    def forward(self, x: Tensor, carriers: Tensor | None, grid: Grid) -> tuple[Tensor, Tensor | None]:
        """Map the tokens of all windows (B * windows, w * w, C), and their carrier tokens, to the same shapes.

        Carrier tokens are (B * windows, CARRIERS, C), or None where an image is one window.
        """
        x = self.pos_embed(x)
        if carriers is not None:
            carriers = self._exchange(carriers, grid)
            x = torch.cat((carriers, x), dim=1)
        x = x + self._branch(self.attn(self.norm1(x)), self.gamma3)
        x = x + self._branch(self.mlp(self.norm2(x)), self.gamma4)
        if carriers is None:
            return x, None
        carriers, x = x[:, :CARRIERS], x[:, CARRIERS:]
        if self.propagates:
            near = nearest_carriers(self.side).to(x.device)
            x = x + _scaled(carriers[:, near], self.gamma1)
        return x, carriers

    def _exchange(self, carriers: Tensor, grid: Grid) -> Tensor:
        """Let the carrier tokens of each image, (B * windows, CARRIERS, C), attend to each other."""
        rows, columns = grid
        count, _, c = carriers.shape
        images, tokens = count // (rows * columns), rows * columns * CARRIERS
        x = from_windows(carriers, CARRIER_SIDE, grid).reshape(images, tokens, c)
        if rows == columns and self.hat_pos_embed is not None:
            x = self.hat_pos_embed(x)
        x = x + self._branch(self.hat_attn(self.hat_norm1(x)), self.gamma1)
        x = x + self._branch(self.hat_mlp(self.hat_norm2(x)), self.gamma2)
        # The official model swaps rows and columns here, and so do its weights: on a grid that is not square, carrier
        # tokens change places with each block.
        swapped = x.reshape(images, columns * CARRIER_SIDE, rows * CARRIER_SIDE, c)
        return to_windows(swapped, CARRIER_SIDE)

    def _branch(self, x: Tensor, gamma: Tensor | None) -> Tensor:
        return drop_path(_scaled(x, gamma), self.drop_path if self.training else 0.0)


def _scaled(x: Tensor, gamma: Tensor | None) -> Tensor:
    return x if gamma is None else gamma * x


def nearest_carriers(side: int) -> Tensor:
    """Return which carrier token lies over each cell of a window: int64 (side * side,)."""
    steps = torch.arange(side) * CARRIER_SIDE // side
    return (steps[:, None] * CARRIER_SIDE + steps[None]).flatten()
