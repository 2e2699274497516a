"""FasterViT: two stages of convolutions, two of hierarchical attention (ICLR 2024, arXiv 2306.06189).

Written from the paper. State-dict keys and shapes equal those of the official repository (NVlabs/FasterViT), less one
pair of duplicates. The constants among them (position biases, tables of offsets) are computed, never read from files.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.fastervit_attention import (
    CARRIER_SIDE,
    Grid,
    HierarchicalBlock,
    from_windows,
    to_windows,
)
from edgevit.models.layers import FoldPairs, drop_path

Size = tuple[int, int]


class PatchEmbedding(nn.Module):
    """Two 3x3 stride-2 convolutions, each with BatchNorm and ReLU: (B, 3, H, W) to (B, C, H/4, W/4)."""

    def __init__(self, stem: int, dim: int) -> None:
        super().__init__()
        self.conv_down = StemSequence(
            nn.Conv2d(3, stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(stem, eps=1e-4),
            nn.ReLU(),
            nn.Conv2d(stem, dim, 3, 2, 1, bias=False),
            nn.BatchNorm2d(dim, eps=1e-4),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_down(x)  # type: ignore[no-any-return]


class StemSequence(nn.Sequential):
    fold_pairs: ClassVar[FoldPairs] = (("0", "1"), ("3", "4"))


class ConvBlock(nn.Module):
    """3x3 convolution, GELU, 3x3 convolution, each with BatchNorm; plus the input."""

    fold_pairs: ClassVar[FoldPairs] = (("conv1", "norm1"), ("conv2", "norm2"))

    def __init__(self, dim: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, 1, 1)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, 1, 1)
        self.norm2 = nn.BatchNorm2d(dim)
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm2(self.conv2(F.gelu(self.norm1(self.conv1(x)))))
        return x + drop_path(branch, self.drop_path if self.training else 0.0)


class Downsample(nn.Module):
    """LayerNorm over channels, then a 3x3 stride-2 convolution: (B, h, w, C) to (B, 2 C, h/2, w/2)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.reduction = nn.Sequential(nn.Conv2d(dim, 2 * dim, 3, 2, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(x).permute(0, 3, 1, 2))  # type: ignore[no-any-return]


class CarrierTokens(nn.Module):
    """Pool an image to CARRIER_SIDE x CARRIER_SIDE tokens for each of its windows."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Map (B, C, h, w), cut into a grid of windows, to (B * windows, CARRIERS, C)."""
        count = grid[0] * CARRIER_SIDE, grid[1] * CARRIER_SIDE
        strides = x.shape[2] // count[0], x.shape[3] // count[1]
        kernel = x.shape[2] - (count[0] - 1) * strides[0], x.shape[3] - (count[1] - 1) * strides[1]
        pooled = F.avg_pool2d(self.pos_embed(x), kernel, strides)
        return to_windows(pooled.permute(0, 2, 3, 1), CARRIER_SIDE)


class ConvLevel(nn.Module):
    """A stage of convolutions: (B, C, h, w) to (B, 2 C, h/2, w/2)."""

    def __init__(self, dim: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ConvBlock(dim, rate) for rate in drop_paths))
        self.downsample = Downsample(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.blocks(x).permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class AttentionLevel(nn.Module):
    """A stage of hierarchical attention: (B, C, h, w) to (B, 2 C, h/2, w/2), or the last to (B, C, h, w).

    Images are extended with zeros at the right and the bottom to whole windows.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        side: int,
        drop_paths: list[float],
        *,
        tokenizer: bool,
        grid: Grid | None,
        scaled: bool,
        downsample: bool,
    ) -> None:
        super().__init__()
        self.side = side
        last = len(drop_paths) - 1
        self.blocks = nn.ModuleList(
            HierarchicalBlock(
                dim, heads, side, grid=grid, scaled=scaled, propagates=scaled and place == last, drop_path=rate
            )
            for place, rate in enumerate(drop_paths)
        )
        self.global_tokenizer = CarrierTokens(dim) if tokenizer else None
        self.exchanges = grid is not None
        self.downsample = Downsample(dim) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        if h % self.side or w % self.side:
            x = F.pad(x, (0, -w % self.side, 0, -h % self.side))
        grid = x.shape[2] // self.side, x.shape[3] // self.side
        carriers = None
        if self.global_tokenizer is not None and self.exchanges and grid != (1, 1):
            carriers = self.global_tokenizer(x, grid)
        windows = to_windows(x.permute(0, 2, 3, 1), self.side)
        for block in self.blocks:
            windows, carriers = block(windows, carriers, grid)
        image = from_windows(windows, self.side, grid)
        if image.shape[1:3] != (h, w):
            image = image[:, :h, :w]
        return image.permute(0, 3, 1, 2) if self.downsample is None else self.downsample(image)


class FasterViT(nn.Module):
    """Classifier: (B, 3, H, W) of any size from 32 on, to logits (B, num_classes)."""

    export_form: ClassVar[str] = "folded last norm"

    def __init__(
        self,
        *,
        dim: int,
        stem: int,
        depths: tuple[int, int, int, int],
        heads: tuple[int, int],
        size: Size,
        sides: tuple[int, int] = (7, 7),
        carriers: bool = True,
        scaled: bool = False,
        num_classes: int = 1000,
        drop_path: float = 0.0,
    ) -> None:
        """Build the model; `size` decides which weights and constants it has, not which inputs it takes.

        On a grid of windows that is not square the carrier tokens have no position embedding, and where the input is
        one window they take no part.
        """
        super().__init__()
        total = sum(depths)
        rates = [drop_path * place / (total - 1) for place in range(total)]
        paths = [rates[sum(depths[:stage]) : sum(depths[: stage + 1])] for stage in range(4)]
        grid = windows_of(size, sides[0])
        self.patch_embed = PatchEmbedding(stem, dim)
        self.levels = nn.Sequential(
            ConvLevel(dim, paths[0]),
            ConvLevel(2 * dim, paths[1]),
            AttentionLevel(
                4 * dim,
                heads[0],
                sides[0],
                paths[2],
                tokenizer=carriers,
                grid=grid if carriers and grid != (1, 1) else None,
                scaled=scaled,
                downsample=True,
            ),
            AttentionLevel(
                8 * dim, heads[1], sides[1], paths[3], tokenizer=False, grid=None, scaled=scaled, downsample=False
            ),
        )
        self.norm: nn.Module = nn.BatchNorm2d(8 * dim)
        self.head = nn.Linear(8 * dim, num_classes)
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.levels(self.patch_embed(x))).mean(dim=(2, 3)))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the last BatchNorm into the classifier, which follows it but for a mean over space."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.head.bias.add_(self.head.weight @ (norm.bias - scale * norm.running_mean))
        self.head.weight.mul_(scale)
        self.norm = nn.Identity()


def _initialize(module: nn.Module) -> None:
    """Start linear layers as the paper does; convolutions and norms start as PyTorch's do."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def windows_of(size: Size, side: int) -> Grid:
    """Return the (rows, columns) of windows in the third stage, whose input is shrunk 16 times."""
    return -(-size[0] // (16 * side)), -(-size[1] // (16 * side))


SERIES = {
    "0": {"dim": 64, "stem": 64, "depths": (2, 3, 6, 5), "heads": (8, 16)},
    "1": {"dim": 80, "stem": 32, "depths": (1, 3, 8, 5), "heads": (8, 16)},
    "2": {"dim": 96, "stem": 64, "depths": (3, 3, 8, 5), "heads": (8, 16)},
    "3": {"dim": 128, "stem": 64, "depths": (3, 3, 12, 5), "heads": (8, 16), "scaled": True},
    "4": {"dim": 196, "stem": 64, "depths": (3, 3, 12, 5), "heads": (16, 32), "scaled": True},
    "5": {"dim": 320, "stem": 64, "depths": (3, 3, 12, 5), "heads": (16, 32), "scaled": True},
    "6": {"dim": 320, "stem": 64, "depths": (3, 3, 16, 8), "heads": (16, 32), "scaled": True},
}
WHOLE = {"21k_224": (14, 7), "21k_384": (24, 12), "21k_512": (32, 16), "21k_768": (48, 24)}
"""Forms of which each attention stage is a single window without carrier tokens, to the sides of those windows."""


def fastervit(variant: str, num_classes: int = 1000, size: Size = (224, 224), drop_path: float = 0.0) -> FasterViT:
    """Build the FasterViT named by `variant`: a series 0 to 6, then 224 or any_res; or 4_21k_224, _384, _512, _768.

    Args:
        variant: such as 0_224 or 0_any_res.
        num_classes: of the classifier.
        size: (height, width) of the input that the weights are for.
        drop_path: of the last block in training, rising from 0 at the first.
    """
    series, _, form = variant.partition("_")
    whole = {"sides": WHOLE[form], "carriers": False} if form in WHOLE else {}
    return FasterViT(num_classes=num_classes, size=size, drop_path=drop_path, **SERIES[series], **whole)  # type: ignore[arg-type]


DERIVED = (".relative_bias", ".relative_coords_table", ".relative_position_index")
"""Ends of the names of constants, which files hold for one input size."""
ALIAS = ("global_tokenizer.to_global_feature.pos.", "global_tokenizer.pos_embed.")
"""The official model registers one convolution twice: (the duplicate's name, the canonical one)."""
ENCODER = "encoder."


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under its canonical keys: a pre-trainer's encoder alone, no constants, no duplicates."""
    if any(key.startswith(ENCODER) for key in state):
        state = {key.removeprefix(ENCODER): value for key, value in state.items() if key.startswith(ENCODER)}
    canonical: dict[str, Tensor] = {}
    for key, value in state.items():
        if not key.endswith(DERIVED):
            canonical.setdefault(key.replace(*ALIAS), value)
    return canonical
