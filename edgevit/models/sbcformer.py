"""SBCFormer: convolution and attention at 1 FPS-class single-board computers (WACV 2024, arXiv 2311.03747).

State-dict keys and shapes equal those of the official repository (xyongLu/SBCFormer), less its two groups of
duplicate keys. C is a stage's width, r its pool ratio, (h, w) the attention grid, N = h * w the number of tokens.
"""

from collections import OrderedDict
from typing import ClassVar, TypedDict

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.models.layers import ConvBN, FoldPairs, Mlp, ScalePairs, drop_path

TABLE_GRID = 7
"""Side of the relative-offset table: the attention grid at the official input of 224 pixels."""


class Stem(nn.Module):
    """Three 3x3 stride-2 ConvBN + ReLU: (B, 3, H, W) to (B, C, H/8, W/8)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvBN(3, dim // 4, 3, 2),
            nn.ReLU(),
            ConvBN(dim // 4, dim // 2, 3, 2),
            nn.ReLU(),
            ConvBN(dim // 2, dim, 3, 2),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stem(x)  # type: ignore[no-any-return]


class PatchMerging(nn.Module):
    """3x3 stride-2 convolution + BatchNorm between two stages."""

    fold_pairs: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(out_dim)
        self.conv = nn.Conv2d(dim, out_dim, 3, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """1x1 expand, GELU, 3x3 depthwise, GELU, 1x1 project; plus the input."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.pwconv1_bn = ConvBN(dim, hidden)
        self.dwconv_bn = ConvBN(hidden, hidden, 3, groups=hidden)
        self.pwconv2_bn = ConvBN(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pwconv2_bn(F.gelu(self.dwconv_bn(F.gelu(self.pwconv1_bn(x)))))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Softmax attention over a grid, whose values see their 3x3 neighbourhood, with a bias by absolute offset."""

    export_form: ClassVar[str] = "scaled queries"

    attention_bias_idxs: Tensor

    def __init__(self, dim: int, heads: int, key_dim: int, value_ratio: int = 2) -> None:
        super().__init__()
        self.heads, self.key_dim = heads, key_dim
        self.value_dim = value_ratio * key_dim * heads
        self.scale = key_dim**-0.5
        self.pwconv = nn.Conv2d(dim, 2 * key_dim * heads + self.value_dim, 1)
        self.dwconv = ConvBN(self.value_dim, self.value_dim, 3, groups=self.value_dim)
        self.proj_out = nn.Linear(self.value_dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, TABLE_GRID**2))
        self.register_buffer("attention_bias_idxs", offset_index(TABLE_GRID, TABLE_GRID))

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Map tokens (B, N, C), row-major over grid = (h, w), to (B, N, C)."""
        b, n, _ = x.shape
        qk_dim = self.heads * self.key_dim
        # The 1x1 convolution of the official model, applied to tokens: the same numbers without a transpose.
        qkv = F.linear(x, self.pwconv.weight.flatten(1), self.pwconv.bias)  # (B, N, 2 * qk_dim + value_dim)
        q, k, v = torch.split(qkv, [qk_dim, qk_dim, self.value_dim], dim=2)
        q = q.reshape(b, n, self.heads, self.key_dim).transpose(1, 2)  # (B, heads, N, key_dim)
        k = k.reshape(b, n, self.heads, self.key_dim).permute(0, 2, 3, 1)  # (B, heads, key_dim, N)
        # channels stay last between tokens and image, so that channels-last runtimes need no transpose here
        image = v.reshape(b, *grid, self.value_dim).permute(0, 3, 1, 2)
        image = (image + F.gelu(self.dwconv(image))).permute(0, 2, 3, 1)  # (B, h, w, value_dim)
        v = image.reshape(b, n, self.heads, -1).transpose(1, 2)  # (B, heads, N, value_dim / heads)
        scores = q @ k if self.scale == 1.0 else (q * self.scale) @ k
        attention = (scores + self.bias(grid)).softmax(dim=-1)
        return self.proj_out((attention @ v).transpose(1, 2).reshape(b, n, self.value_dim))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the scale into the weights that make the queries."""
        rows = slice(0, self.heads * self.key_dim)
        assert self.pwconv.bias is not None
        self.pwconv.weight[rows] *= self.scale
        self.pwconv.bias[rows] *= self.scale
        self.scale = 1.0

    def bias(self, grid: tuple[int, int]) -> Tensor:
        """Return the bias of each pair of tokens, (heads, N, N).

        A grid smaller than the table's takes its corner, a larger one the table resized.
        """
        if grid == (TABLE_GRID, TABLE_GRID):
            return self.attention_biases[:, self.attention_bias_idxs]
        table = self.attention_biases.reshape(1, self.heads, TABLE_GRID, TABLE_GRID)
        larger = max(grid[0], TABLE_GRID), max(grid[1], TABLE_GRID)
        if larger != (TABLE_GRID, TABLE_GRID):
            table = F.interpolate(table, larger, mode="bilinear", align_corners=True)
        table = table[0, :, : grid[0], : grid[1]].flatten(1)
        return table[:, offset_index(*grid).to(table.device)]


def offset_index(h: int, w: int) -> Tensor:
    """Return, for each pair of cells of an (h, w) grid, |dy| * w + |dx|: int64 (h * w, h * w)."""
    y, x = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
    return (y[:, None] - y[None]).abs() * w + (x[:, None] - x[None]).abs()


class ModifiedAttentionBlock(nn.Module):
    """Pre-norm attention and MLP, each with a residual, on tokens (B, N, C)."""

    scale_pairs: ClassVar[ScalePairs] = (("norm1", "attn.pwconv"), ("norm2", "mlp.fc1"))

    def __init__(self, dim: int, heads: int, key_dim: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.attn = Attention(dim, heads, key_dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 4 * dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.drop_path = drop_path

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = x + self._drop(self.attn(self.norm1(x), grid))
        return x + self._drop(self.mlp(self.norm2(x)))

    def _drop(self, branch: Tensor) -> Tensor:
        return drop_path(branch, self.drop_path if self.training else 0.0)


class DepthwiseUpsample(nn.ConvTranspose2d):
    """Depthwise transposed convolution with kernel = stride = r: (B, C, h, w) to (B, C, r * h, r * w).

    Without overlap it is each pixel times the (r, r) kernel. Computed that way, since a depthwise transposed
    convolution becomes hundreds of operators in TFLite.
    """

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__(dim, dim, ratio, ratio, groups=dim)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        ratio = self.kernel_size[0]
        tiled = self.weight.squeeze(1).repeat(1, x.shape[2], x.shape[3])  # (C, r * h, r * w)
        product = F.interpolate(x, scale_factor=ratio, mode="nearest") * tiled
        return product if self.bias is None else product + self.bias[:, None, None]


class SBCFormerBlock(nn.Module):
    """One stage: a local stream of convolutions, gated by and fused with a global stream of attention."""

    fold_pairs: ClassVar[FoldPairs] = (("convTrans", "norm"),)
    export_form: ClassVar[str] = "upsampling without bias"

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        key_dim: int,
        ratio: int,
        invres_ratio: int,
        depths: tuple[int, int, int],
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        invres, mixer, mattn = depths
        self.ratio = ratio
        self.invres_blocks = _named("InvRes", [InvertedResidual(dim, invres_ratio * dim) for _ in range(invres)])
        self.mixer = _named("Mixer", [InvertedResidual(dim, 2 * dim) for _ in range(mixer)])
        self.trans_blocks = _named(
            "MAttn", [ModifiedAttentionBlock(dim, heads, key_dim, drop_path) for _ in range(mattn)]
        )
        self.convTrans = DepthwiseUpsample(dim, ratio) if ratio > 1 else nn.Identity()
        self.norm = nn.BatchNorm2d(dim) if ratio > 1 else nn.Identity()
        self.proj = ConvBN(dim, dim)
        self.proj_fuse = ConvBN(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        local = self.invres_blocks(x)
        x = F.avg_pool2d(local, self.ratio) if self.ratio > 1 else local
        x = self.mixer(x)
        b, c, h, w = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
        for block in self.trans_blocks:
            tokens = block(tokens, (h, w))
        x = tokens.reshape(b, h, w, c).permute(0, 3, 1, 2)
        x = self.norm(self.convTrans(x))
        return self.proj_fuse(torch.cat((x, local * F.hardsigmoid(self.proj(x))), dim=1))  # type: ignore[no-any-return]

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Fold the upsampling's bias into those of the two layers that read it: W (x + b) = W x + W b."""
        if isinstance(self.convTrans, nn.Identity) or self.convTrans.bias is None:
            return
        bias = self.convTrans.bias
        for layer in (self.proj.conv, self.proj_fuse.conv):
            assert layer.bias is not None
            layer.bias += layer.weight.flatten(1)[:, : len(bias)] @ bias
        self.convTrans.bias = None


def _named(prefix: str, modules: list[nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"{prefix}_{i}", module) for i, module in enumerate(modules)))


class Variant(TypedDict):
    """Widths of the three stages, width and number of attention's heads, its blocks, expansion of the convolutions."""

    dims: tuple[int, int, int]
    key_dim: int
    heads: tuple[int, int, int]
    mattn_depths: tuple[int, int, int]
    invres_ratio: int


class SBCFormerStages(nn.Module):
    """The three stages, each after the convolutions that halve its input."""

    def __init__(self, variant: Variant, *, drop_path: float = 0.0) -> None:
        super().__init__()
        dims = variant["dims"]
        self.merging_blocks = nn.ModuleList(
            [Stem(dims[0]), PatchMerging(dims[0], dims[1]), PatchMerging(dims[1], dims[2])]
        )
        self.sbcformer_blocks = nn.ModuleList(
            SBCFormerBlock(
                dim,
                heads=heads,
                key_dim=variant["key_dim"],
                ratio=ratio,
                invres_ratio=variant["invres_ratio"],
                depths=(invres, 2, mattn),
                drop_path=drop_path,
            )
            for dim, heads, ratio, invres, mattn in zip(
                dims, variant["heads"], (4, 2, 1), (2, 2, 1), variant["mattn_depths"], strict=True
            )
        )

    def stages(self, x: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W), H and W multiples of 32, to the outputs of the stages, at strides 8, 16 and 32."""
        outputs = []
        for merge, block in zip(self.merging_blocks, self.sbcformer_blocks, strict=True):
            x = block(merge(x))
            outputs.append(x)
        return outputs


class SBCFormerBackbone(SBCFormerStages):
    """What a detector is built on: all that `stages` returns."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.stages(x)


class SBCFormer(SBCFormerStages):
    """Classifier: (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes)."""

    def __init__(self, variant: Variant, num_classes: int = 1000, *, drop_path: float = 0.0) -> None:
        super().__init__(variant, drop_path=drop_path)
        dim = variant["dims"][-1]
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.stages(x)[-1].mean(dim=(-2, -1))))  # type: ignore[no-any-return]


VARIANTS: dict[str, Variant] = {
    "xs": {"dims": (96, 160, 288), "key_dim": 16, "heads": (3, 5, 6), "mattn_depths": (2, 3, 2), "invres_ratio": 2},
    "s": {"dims": (96, 192, 320), "key_dim": 16, "heads": (3, 5, 7), "mattn_depths": (2, 4, 3), "invres_ratio": 2},
    "b": {"dims": (128, 256, 384), "key_dim": 24, "heads": (4, 6, 8), "mattn_depths": (2, 4, 3), "invres_ratio": 2},
    "l": {"dims": (192, 288, 384), "key_dim": 32, "heads": (4, 6, 8), "mattn_depths": (2, 4, 3), "invres_ratio": 4},
}


def sbcformer(variant: str, num_classes: int = 1000, **options: float) -> SBCFormer:
    """Build the SBCFormer named by `variant`: xs, s, b or l."""
    return SBCFormer(VARIANTS[variant], num_classes, **options)


STAGES = ("merging_blocks.", "sbcformer_blocks.")
"""Beginnings of the names of all weights but those of the classifier and the norm before it."""
RENAMED = (
    # names of November 2023, when the official repository still called the model SlenderViT
    ("slendervit_blocks.", "sbcformer_blocks."),
    ("slendervit_block.", "sbcformer_blk."),
    ("mv2_blocks.mv2_", "invres_blocks.InvRes_"),
    ("mixer.proj_", "mixer.Mixer_"),
    ("trans_blocks.mobile_trans_", "trans_blocks.MAttn_"),
)
ALIASES = (("patch_embed.", "merging_blocks.0."), ("sbcformer_blk.", "sbcformer_blocks.2."))
"""The official model registers two parts twice: (duplicate prefix, the canonical one)."""


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under its canonical keys: old names renamed, duplicates dropped."""
    canonical: dict[str, Tensor] = {}
    for key, value in state.items():
        for old, new in RENAMED:
            key = key.replace(old, new)
        alias = next((pair for pair in ALIASES if key.startswith(pair[0])), None)
        if alias is None:
            canonical[key] = value
        else:
            canonical.setdefault(key.replace(*alias), value)
    return canonical
