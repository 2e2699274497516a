"""The loss of RetinaNet (arXiv 1708.02002): anchors by their overlap, focal loss, and distance of the boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor

from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.training.detection.overlap import Truth, outside, pair_overlaps
from edgevit.training.detection.places import make_anchors
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.schedule import Size

POSITIVE, NEGATIVE = 0.5, 0.4
"""Least overlap of an anchor that answers for a box, and of one that counts in no way."""
GAMMA, ALPHA = 2.0, 0.25
NOTHING, UNCOUNTED = -1, -2
"""What an anchor answers for, beside the number of a box."""


@dataclass(frozen=True)
class RetinaLoss:
    """How wrong a model's raw answers are."""

    strides: tuple[int, ...]

    def __call__(
        self,
        answers: Sequence[Tensor],
        labels: Sequence[TrueBoxes],
        size: Size,
        *,
        closing: bool = False,
        ranks: Ranks = ALONE,
    ) -> Tensor:
        """Return the loss of a batch; see YoloxLoss, though here are no objectness and no closing part."""
        return sum(part.sum() for part in self.parts(answers, labels, size, ranks))  # type: ignore[return-value]

    def parts(
        self, answers: Sequence[Tensor], labels: Sequence[TrueBoxes], size: Size, ranks: Ranks = ALONE
    ) -> tuple[Tensor, Tensor]:
        """Return what each anchor (N,) adds to the loss of classes, and to that of boxes."""
        boxes, scores = (answer.float() for answer in answers)
        anchors = make_anchors(size, self.strides, boxes.device)
        focal, distance, total = (torch.zeros(len(anchors), device=boxes.device) for _ in range(3))
        for i, label in enumerate(labels):
            truth = Truth.of(label, boxes.device)
            chosen = assign(truth, anchors)
            positive = (chosen >= 0).nonzero()[:, 0]
            wanted = torch.zeros_like(scores[i])
            wanted[positive, truth.classes[chosen[positive]]] = 1
            focal = focal + focal_loss(scores[i], wanted).sum(1) * (chosen != UNCOUNTED)
            away = boxes[i, positive] - encode(truth.boxes[chosen[positive]], anchors[positive])
            distance = distance.index_add(0, positive, away.abs().sum(1))
            total[positive] += 1
        share = ranks.divisor(total.sum().item(), least=1)
        return focal / share, distance / share


def assign(truth: Truth, anchors: Tensor) -> Tensor:
    """Return for each anchor (N,) the number of the box that it answers for, NOTHING or UNCOUNTED.

    Each box is answered for by the anchors that it shares most with, however little that is.
    """
    nothing = torch.full((len(anchors),), NOTHING, device=anchors.device)
    nothing[~outside((anchors[:, :2] + anchors[:, 2:]) / 2, truth.crowds)] = UNCOUNTED
    if not len(truth.boxes):
        return nothing
    shared = pair_overlaps(truth.boxes, anchors)
    best, box = shared.max(0)
    chosen = torch.where(best >= POSITIVE, box, torch.where(best >= NEGATIVE, UNCOUNTED, nothing))
    for number, (row, most) in enumerate(zip(shared, shared.amax(1), strict=True)):
        if most > 0:
            chosen[row == most] = number
    return chosen


def focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the cross-entropy of logits against 0 or 1, less where an answer is right already."""
    likely = logits.sigmoid()
    wrong = torch.where(wanted == 1, 1 - likely, likely)
    weight = torch.where(wanted == 1, ALPHA, 1 - ALPHA) * wrong**GAMMA
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return (F, 4) boxes as differences from their (F, 4) anchors: x, y in sides of them, log width, log height."""
    centres, sides = (
        ((each[:, :2] + each[:, 2:]) / 2 for each in (boxes, anchors)),
        [each[:, 2:] - each[:, :2] for each in (boxes, anchors)],
    )
    centre, anchor = centres
    return torch.cat(((centre - anchor) / sides[1], torch.log(sides[0] / sides[1])), dim=1)
