"""The loss of YOLOX (arXiv 2107.08430) on raw boxes, objectness and classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor

from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.training.detection.overlap import Truth, outside, overlaps
from edgevit.training.detection.places import Cells, make_cells
from edgevit.training.detection.simota import assign
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.schedule import Size

BOX_WEIGHT = 5.0


@dataclass(frozen=True, eq=False)
class YoloxParts:
    """The parts of the loss, each a sum over a batch for each cell that answers for a box."""

    overlap: Tensor
    objectness: Tensor
    classes: Tensor
    distance: Tensor
    """Sum of the absolute differences of raw boxes."""
    cells: int
    """How many answer for a box."""


@dataclass(frozen=True)
class YoloxLoss:
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
        """Return the loss of a batch; the distance of raw boxes counts in the closing part of a run only.

        Args:
            answers: boxes (B, N, 4), objectness (B, N, 1) and scores (B, N, classes).
            labels: of each picture, in pixels of the input.
            size: (height, width) of the input.
            closing: whether the run nears its end.
            ranks: which process of how many this one is.
        """
        parts = self.parts(answers, labels, size, ranks)
        loss = BOX_WEIGHT * parts.overlap + parts.objectness + parts.classes
        return loss + parts.distance if closing else loss

    def parts(
        self, answers: Sequence[Tensor], labels: Sequence[TrueBoxes], size: Size, ranks: Ranks = ALONE
    ) -> YoloxParts:
        """Return the parts of the loss; the arguments are those of a call."""
        boxes, objectness, scores = (answer.float() for answer in answers)
        cells = make_cells(size, self.strides, boxes.device)
        found = decode(boxes, cells)
        is_object, counts = torch.zeros_like(objectness), torch.ones_like(objectness)
        zero = boxes.sum() * 0  # a batch without any box has gradients, too
        overlap, wrong, distance, total = zero, zero, zero, 0
        for i, label in enumerate(labels):
            truth = Truth.of(label, boxes.device)
            chosen = assign(found[i], objectness[i], scores[i], truth, cells)
            is_object[i, chosen.cells] = 1
            counts[i, :, 0] = outside(cells.centres, truth.crowds).float()
            counts[i, chosen.cells] = 1
            total += len(chosen.cells)
            target = truth.boxes[chosen.boxes]
            overlap = overlap + (1 - overlaps(found[i, chosen.cells], target) ** 2).sum()
            wanted = F.one_hot(truth.classes[chosen.boxes], scores.shape[2]) * chosen.overlaps[:, None]
            wrong = wrong + F.binary_cross_entropy_with_logits(scores[i, chosen.cells], wanted, reduction="sum")
            raw = encode(target, cells, chosen.cells)
            distance = distance + (boxes[i, chosen.cells] - raw).abs().sum()
        objects = F.binary_cross_entropy_with_logits(objectness, is_object, counts, reduction="sum")
        share = ranks.divisor(total, least=1)
        return YoloxParts(overlap / share, objects / share, wrong / share, distance / share, total)


def decode(boxes: Tensor, cells: Cells) -> Tensor:
    """Return left, top, right, bottom in pixels for raw boxes (B, N, 4)."""
    centres = (boxes[..., :2] + cells.corners / cells.strides[:, None]) * cells.strides[:, None]
    half = boxes[..., 2:].exp() * cells.strides[:, None] / 2
    return torch.cat((centres - half, centres + half), dim=-1)


def encode(boxes: Tensor, cells: Cells, numbers: Tensor) -> Tensor:
    """Return (F, 4) raw boxes that `decode` would turn into these (F, 4) for the cells of these (F,) numbers."""
    strides = cells.strides[numbers, None]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.cat(((centres - cells.corners[numbers]) / strides, torch.log(sides / strides + 1e-8)), dim=1)
