"""FasterViT's position biases: small networks that are told coordinates, so that they exist for squares of any size.

After Swin Transformer V2, arXiv 2111.09883, section 3.3. C is the width of a token.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

HIDDEN = 512
"""Width of the networks."""


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

    export_form: ClassVar[str] = "constant positions"

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
