"""Hallucinated attention (hMHSA): half of the attention maps made from the other half (arXiv 2306.10875).

Queries and keys are computed for half of the heads, values for all. From the real maps, before the softmax, come the
others: an intra-head step, a 3x3 depthwise convolution over each query's map seen as the image of its keys, then a
cross-head step, a 1x1 convolution that mixes the heads. The paper tried both orders and found this one best. Real and
hallucinated maps together are what the values are weighted with.

No code was published with the paper; where it leaves a choice, this is what is done here:

- **The suffix of these models is `_hmhsa`**, the paper's own word, which nothing else bears. The compact FFN
  (`compact_ffn.py`) comes along: the published totals are those of both.
- **Odd numbers of heads** (DeiT-T has 3, PVTv2-b1 1 and 5 in two stages) have no half. Each head is split in two of
  half the width there: 6, 2 and 10 heads, half of which are real. So queries and keys have half their width everywhere,
  which is what the published totals of PVTv2-b1 ask for: with 1 head of 1 and 3 of 5 real, 13.9 % fewer operations are
  far from their 15.2 %.
- **The class token** is a key without a place in the image. Its column of the maps is an image of one pixel: of the 3x3
  kernel only the centre meets it, the cross-head step mixes it like all others. As a query it has a map as every token.
- **Spatial reduction** (PVTv2, Next-ViT): a query's map is the image of the reduced keys, H / s x W / s. Next-ViT pools
  runs of s * s tokens in row order; these, in rows of W / s, have keys s rows apart below each other, and neighbours in
  a run beside each other.
- **Biases**: none. One number added to a whole map does not change its softmax.
- **Beginning**: both convolutions start near the identity, a hallucinated map as a copy of a real one.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

SECTIONS = {"qkv": (True, True, False), "kv": (True, False), "q": (True,), "k": (True,)}
"""Name of a layer to the equal parts that its outputs have in the plain model; half of those marked are left."""


def even_heads(heads: int) -> int:
    """Return the number of heads, real and hallucinated, in place of a plain layer's `heads`."""
    return heads if heads % 2 == 0 else 2 * heads


class Hallucination(nn.Module):
    """Attention scores of 2 * heads heads from the queries and keys of `heads` heads, each of width `head_dim`."""

    export_form: ClassVar[str] = "smoothed keys"

    kernels: Tensor
    """Each head's 3x3 kernel for every channel of its keys, (heads * head_dim, 1, 3, 3)."""
    centres: Tensor
    """Centre weights of the kernels, (heads, 1, 1)."""
    mixing: Tensor
    """(heads, heads)"""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.intra = nn.Conv2d(heads, heads, 3, padding=1, groups=heads, bias=False)
        self.cross = nn.Conv2d(heads, heads, 1, bias=False)
        self.smooths_keys = False
        for conv in (self.intra, self.cross):
            nn.init.dirac_(conv.weight, groups=conv.groups)
            with torch.no_grad():
                conv.weight += 0.02 * torch.randn_like(conv.weight)

    def forward(self, q: Tensor, k: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the real and the hallucinated heads' scores before the softmax, each (B, heads, N, M).

        Args:
            q: scaled queries (B, heads, N, d).
            k: keys (B, heads, M, d): a class token's, if there is one, then those of the grid row by row.
            grid: (h, w) of the keys.
        """
        return self._from_keys(q, k, grid) if self.smooths_keys else self._from_maps(q, k, grid)

    def _from_maps(self, q: Tensor, k: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Compute as the paper describes it."""
        b, heads, n, _ = q.shape
        h, w = grid
        # A row of keys that are zero, and so a row of scores that are, keeps the maps of a head's queries apart: they
        # lie below each other as one image, and no map is moved to have the heads beside each other.
        keys = F.pad(k[:, :, -h * w :], (0, 0, 0, w))  # (B, heads, (h + 1) * w, d)
        maps = (q @ keys.transpose(2, 3)).reshape(b, heads, n * (h + 1), w)
        real, made = (
            each.reshape(b, heads, n, (h + 1) * w)[..., : h * w] for each in (maps, self.cross(self.intra(maps)))
        )
        if k.shape[2] == h * w:
            return real, made
        column = q @ k[:, :, :1].transpose(2, 3)  # (B, heads, N, 1): the class token's
        centre = self.cross.weight * self.intra.weight[:, 0, 1, 1].reshape(1, heads, 1, 1)
        return torch.cat((column, real), dim=3), torch.cat((F.conv2d(column, centre), made), dim=3)

    def _from_keys(self, q: Tensor, k: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Compute the same with the intra-head step moved to the keys.

        It is linear and the same for all queries: sum_o w_o (q . k_(m + o)) = q . (sum_o w_o k_(m + o)). The keys are
        few, the maps are large, and convolutions of a few channels are what processors do worst.
        """
        b, heads, n, d = q.shape
        m, (h, w) = k.shape[2], grid
        columns = k.transpose(2, 3)  # (B, heads, d, M)
        image = columns[..., -h * w :].reshape(b, heads * d, h, w)
        smooth = F.conv2d(image, self.kernels, padding=1, groups=heads * d).reshape(b, heads, d, h * w)
        if m > h * w:
            smooth = torch.cat((columns[..., :1] * self.centres, smooth), dim=3)
        made = self.mixing @ (q @ smooth).reshape(b, heads, n * m)
        return q @ columns, made.reshape(b, heads, n, m)

    @torch.no_grad()
    def take_export_form(self) -> None:
        """Smooth the keys instead of the maps, see `_from_keys`; by their names a quantizer finds the constants."""
        self.register_buffer("kernels", self.intra.weight.repeat_interleave(self.head_dim, dim=0))
        self.register_buffer("centres", self.intra.weight[:, :, 1, 1].clone().unsqueeze(-1))
        self.register_buffer("mixing", self.cross.weight.flatten(1).clone())
        self.smooths_keys = True


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, scale: float = 1.0, maps: Hallucination | None = None, grid: tuple[int, int]
) -> Tensor:
    """Return softmax attention's weighted values, the heads side by side, (B, N, heads * width of a head).

    The real and the hallucinated heads' maps are never put together: they are what is largest here, and a copy of all
    of them takes longer than what the hallucination adds.

    Args:
        q: queries (B, heads, N, d), with `maps` of the real heads only.
        k: keys (B, heads, M, d), likewise.
        v: of all heads, the real ones first, (B, heads, M, width of a head).
        scale: of the scores.
        maps: makes the other heads' scores; None where all are real.
        grid: (h, w) of the keys.
    """
    groups = (q @ k.transpose(2, 3),) if maps is None else maps(q, k, grid)
    if scale != 1.0:
        groups = tuple(scores * scale for scores in groups)
    if len(groups) == 1:
        weighted = groups[0].softmax(dim=-1) @ v
    else:
        parts = zip(groups, v.chunk(len(groups), dim=1), strict=True)
        weighted = torch.cat([scores.softmax(dim=-1) @ part for scores, part in parts], dim=1)
    return weighted.transpose(1, 2).flatten(2)


def shared_weights(model: nn.Module, plain: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what a hallucinated model can take over from the plain one, under its own names.

    That is every tensor of the same name and shape, the values' rows of a layer that makes queries, keys and values,
    and, where the heads are those of the plain model, the rows of the real ones, which are the first half.

    Args:
        model: with attention modules that have a `maps`, a Hallucination, and `split`, whether heads were split in two.
        plain: state dict of the plain model.
    """
    own = model.state_dict()
    taken = {key: plain[key] for key, value in own.items() if key in plain and plain[key].shape == value.shape}
    for name, module in model.named_modules():
        if not isinstance(getattr(module, "maps", None), Hallucination):
            continue
        for layer, sections in SECTIONS.items():
            for key in (f"{name}.{layer}.weight", f"{name}.{layer}.bias"):
                if key in own and key in plain and key not in taken:
                    taken[key] = _halved(own[key], plain[key], sections, keep=not module.split)
    return taken


def _halved(own: Tensor, plain: Tensor, sections: tuple[bool, ...], *, keep: bool) -> Tensor:
    """Take a plain layer's rows; of its halved sections the first half, or where not `keep` the layer's own."""
    width = len(plain) // len(sections)
    parts, start = [], 0
    for halved, rows in zip(sections, torch.split(plain, width), strict=True):
        left = width // 2 if halved else width
        parts.append(own[start : start + left] if halved and not keep else rows[:left].to(own))
        start += left
    return torch.cat(parts)
