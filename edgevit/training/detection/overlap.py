"""Boxes as tensors: what they share, which centres lie in them, and the truth of one picture."""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgevit.runtime.detection.boxes import TrueBoxes


@dataclass(frozen=True, eq=False)
class Truth:
    """The boxes of one picture, on the device that computes."""

    boxes: Tensor
    """(n, 4) left, top, right, bottom in pixels of the input."""
    classes: Tensor
    """(n,) int64."""
    crowds: Tensor
    """(m, 4) boxes that hold many objects which nobody counted: what is found there is neither right nor wrong."""

    @classmethod
    def of(cls, label: TrueBoxes, device: torch.device) -> "Truth":
        boxes = torch.from_numpy(label.boxes).to(device)
        crowd = torch.from_numpy(label.crowd).to(device)
        return cls(boxes[~crowd], torch.from_numpy(label.classes).to(device)[~crowd], boxes[crowd])


def pair_overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Return the (n, m) intersection over union of (n, 4) and (m, 4) boxes."""
    return _overlap(one[:, None], other[None])


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Return the (n,) intersection over union of (n, 4) boxes, each with its counterpart."""
    return _overlap(one, other)


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    sides = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(min=0)
    shared = sides.prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1) for boxes in (one, other)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)


def outside(centres: Tensor, boxes: Tensor) -> Tensor:
    """Return for each of (N, 2) centres whether it lies in none of the (m, 4) boxes."""
    inside = (centres[:, None] >= boxes[:, :2]) & (centres[:, None] < boxes[:, 2:])
    return ~inside.all(-1).any(-1)
