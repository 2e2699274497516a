"""Where a detection model looks: the cells of each level, and RetinaNet's anchors, in pixels of the input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgevit.training.schedule import Size

ANCHOR_SIDE = 4
"""Side of a level's smallest anchor, in strides."""
ANCHOR_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
"""Height to width of the anchors of one place, each in all scales."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The N cells of an input, in rows from the upper left, the finest level first."""

    corners: Tensor
    """(N, 2) x and y of the upper left corner."""
    strides: Tensor
    """(N,) the side."""

    @property
    def centres(self) -> Tensor:
        return self.corners + self.strides[:, None] / 2


def make_cells(size: Size, strides: Sequence[int], device: torch.device | str = "cpu") -> Cells:
    """Return the cells of an input of (height, width)."""
    levels = [(_corners(size, stride, device), float(stride)) for stride in strides]
    sides = [torch.full((len(corners),), stride, device=device) for corners, stride in levels]
    return Cells(torch.cat([corners for corners, _ in levels]), torch.cat(sides))


def make_anchors(size: Size, strides: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Return RetinaNet's anchors of an input of (height, width): (N, 4) left, top, right, bottom.

    They stand around the corner of each cell, nine after each other; those of one ratio have rising scales. See
    MMDetection 3.3.0, AnchorGenerator with octave_base_scale 4 and center_offset 0.
    """
    levels = []
    for stride in strides:
        sides = [
            (stride * ANCHOR_SIDE * scale / math.sqrt(ratio), stride * ANCHOR_SIDE * scale * math.sqrt(ratio))
            for ratio in ANCHOR_RATIOS
            for scale in ANCHOR_SCALES
        ]
        half = torch.tensor(sides, device=device) / 2  # (9, 2) width, height
        corners = _corners(size, stride, device)[:, None]
        levels.append(torch.cat((corners - half, corners + half), dim=2).reshape(-1, 4))
    return torch.cat(levels)


def _corners(size: Size, stride: int, device: torch.device | str) -> Tensor:
    rows, columns = (-(-side // stride) for side in size)
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack((x, y), dim=2).reshape(-1, 2) * float(stride)
