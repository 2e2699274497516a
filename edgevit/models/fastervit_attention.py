"""FasterViT's hierarchical attention: within windows, and among the carrier tokens that stand for the windows.

Position biases come from small networks that are told coordinates (Swin Transformer V2, arXiv 2111.09883, section 3.3),
so that they exist for windows and grids of any size. B is images, w the side of a window, C the width; a grid is the
(rows, columns) of windows that cover an image, row-major within its batch entry.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.layers import drop_path

Grid = tuple[int, int]

HIDDEN = 512
"""Width of the networks that make position biases."""
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


def network(out_features: int) -> nn.Sequential:
    """Return what maps coordinates (..., 2) to (..., out_features)."""
    return nn.Sequential(nn.Linear(2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out_features, bias=False))


def grid_coordinates(side: int, like: Tensor) -> Tensor:
    """Return (y, x) of the cells of a square, centred, in about -1..1: (side * side, 2), of the type of `like`."""
    steps = (torch.arange(side, dtype=like.dtype, device=like.device) - side // 2) / (side // 2)
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(side * side, 2)


def offset_coordinates(side: int) -> Tensor:
    """Return all offsets between two cells of a square, log-spaced: (1, 2 * side - 1, 2 * side - 1, 2).

    SwinV2's equation 4, with offsets scaled to -8..8 first: sign(d) * log2(1 + |d|) / log2(8).
    """
    steps = torch.arange(-(side - 1), side, dtype=torch.float32) / (side - 1) * 8
    table = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)[None]
    return torch.sign(table) * torch.log2(table.abs() + 1) / math.log2(8)


def offset_index(side: int) -> Tensor:
    """Return which row of the flat table of offsets belongs to each pair of cells: int64 (side * side, side * side)."""
    y, x = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    dy, dx = y[:, None] - y[None] + side - 1, x[:, None] - x[None] + side - 1
    return dy * (2 * side - 1) + dx


class FoldedBias(nn.Module):
    """A tensor that a small network makes from coordinates, by the number of tokens; a constant once exported.

    The official model has the tensor for one number of tokens, `relative_bias`, in its state dict. It is never trained.
    """

    relative_bias: Tensor

    def __init__(self, shape: tuple[int, ...], out_features: int) -> None:
        super().__init__()
        self.register_buffer("relative_bias", torch.zeros(shape))
        self.cpb_mlp = network(out_features)
        self.folded: int | None = None
        """The number of tokens that `relative_bias` holds for; None: it is computed each time."""
        self.exported = False

    def value(self, tokens: int) -> Tensor:
        """Return the tensor for a number of tokens; an exported model folds the first that it is asked for."""
        if self.folded == tokens:
            return self.relative_bias
        if self.exported and not torch.compiler.is_compiling():
            with torch.inference_mode(False), torch.no_grad():
                self.relative_bias, self.folded = self.compute(tokens), tokens
            return self.relative_bias
        return self.compute(tokens)

    def compute(self, tokens: int) -> Tensor:
        raise NotImplementedError

    def take_export_form(self) -> None:
        """Make the tensor a constant from the next call on."""
        self.exported = True


class PositionEmbedding(FoldedBias):
    """What is added to the tokens of a square window or grid: (1, tokens, C)."""

    def __init__(self, dim: int, tokens: int) -> None:
        super().__init__((1, tokens, dim), dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, tokens, C) to the same shape."""
        return x + self.value(x.shape[1])

    def compute(self, tokens: int) -> Tensor:
        return self.cpb_mlp(grid_coordinates(math.isqrt(tokens), self.relative_bias))[None]  # type: ignore[no-any-return]


class AttentionBias(FoldedBias):
    """What is added to the scores of each pair of tokens: (1, heads, tokens, tokens).

    The last tokens form a square; those before it get no bias.
    """

    relative_coords_table: Tensor
    relative_position_index: Tensor

    def __init__(self, heads: int, tokens: int, side: int | None = None) -> None:
        """Build for a square of `side`, or the largest that the tokens fill."""
        super().__init__((1, heads, tokens, tokens), heads)
        self.side = side
        built = side or math.isqrt(tokens)
        self.register_buffer("relative_coords_table", offset_coordinates(built))
        self.register_buffer("relative_position_index", offset_index(built))

    def compute(self, tokens: int) -> Tensor:
        side = self.side or math.isqrt(tokens)
        table, index = self.relative_coords_table, self.relative_position_index
        if len(index) != side * side:
            table, index = offset_coordinates(side).to(table), offset_index(side).to(index.device)
        bias = self.cpb_mlp(table).reshape((2 * side - 1) ** 2, -1)[index.flatten()]  # (w^2 * w^2, heads)
        bias = 16 * bias.sigmoid().reshape(side * side, side * side, -1).permute(2, 0, 1)
        before = tokens - side * side
        return F.pad(bias, (before, 0, before, 0))[None]


class Attention(nn.Module):
    """Softmax attention among tokens, with a bias by their offset."""

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


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


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
