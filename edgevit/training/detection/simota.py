"""SimOTA: which cells of a picture answer for which of its boxes (YOLOX, arXiv 2107.08430, section 2.1)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor

from edgevit.training.detection.overlap import Truth, pair_overlaps
from edgevit.training.detection.places import Cells

RADIUS = 1.5
"""A cell may answer for a box if its centre lies so many cells from the box's, or nearer."""
OVERLAP_COST = 3.0
FAR_COST = 1e6
"""What it costs a cell to answer for a box that it is far from."""
MOST_COUNTED = 10
"""Best overlaps whose sum says how many cells answer for a box."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """The cells that answer for a box."""

    cells: Tensor
    """(F,) their numbers, rising."""
    boxes: Tensor
    """(F,) the number of the box of each."""
    overlaps: Tensor
    """(F,) how well the cell's answer meets the box, 0..1."""


@torch.no_grad()
def assign(found: Tensor, objectness: Tensor, scores: Tensor, truth: Truth, cells: Cells) -> Assignment:
    """Choose the cells for each box of one picture, by what the model answers now.

    Args:
        found: (N, 4) the answers' boxes: left, top, right, bottom in pixels of the input.
        objectness: (N, 1) logits.
        scores: (N, classes) logits.
        truth: the boxes that are there; none gives an empty assignment.
        cells: the N cells.
    """
    centres = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    away = (cells.centres[None] - centres[:, None]).abs().amax(-1)  # (boxes, N)
    near = away < RADIUS * cells.strides
    candidates = near.any(0).nonzero()[:, 0]
    if not len(candidates):
        none = candidates
        return Assignment(none, none, torch.zeros(0, device=found.device))
    near = near[:, candidates]
    shared = pair_overlaps(truth.boxes, found[candidates])
    likely = (scores[candidates].float().sigmoid() * objectness[candidates].float().sigmoid()).sqrt()
    wanted = F.one_hot(truth.classes, scores.shape[1]).float()
    pairs = (len(truth.boxes), *likely.shape)
    with torch.autocast(found.device.type, enabled=False):
        wrong = F.binary_cross_entropy(likely[None].expand(pairs), wanted[:, None].expand(pairs), reduction="none")
    cost = wrong.sum(-1) - OVERLAP_COST * torch.log(shared + 1e-8) + FAR_COST * ~near
    chosen = _cheapest(cost, shared)
    taken = chosen.any(0)
    boxes = chosen[:, taken].int().argmax(0)
    return Assignment(candidates[taken], boxes, shared[boxes, taken.nonzero()[:, 0]])


def _cheapest(cost: Tensor, shared: Tensor) -> Tensor:
    """Return (boxes, candidates): whether a candidate answers for a box; each answers for one at most."""
    most = min(MOST_COUNTED, shared.shape[1])
    counts = shared.topk(most, dim=1).values.sum(1).int().clamp(min=1)
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    for row, costs, count in zip(chosen, cost, counts.tolist(), strict=True):
        row[costs.topk(count, largest=False).indices] = True
    twice = chosen.sum(0) > 1
    cheapest = cost[:, twice].argmin(0)
    chosen[:, twice] = F.one_hot(cheapest, len(cost)).T.bool()
    return chosen
