"""How well a model finds boxes in pictures, which are preprocessed and decoded as the board will do it."""

from dataclasses import dataclass

import torch
from torch import nn

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.detection.decode import decode
from edgevit.runtime.detection.letterbox import to_picture
from edgevit.runtime.evaluation.average_precision import average_precision
from edgevit.runtime.evaluation.counting import judge_counts
from edgevit.training.accuracy import plain_inputs
from edgevit.training.detection.samples import BoxedSamples
from edgevit.training.detection.shown import ShownPicture, show_worst

LEAST_SCORE = 0.01
"""Least score of the boxes that the average precision is computed from. `edgevit validate` takes a tenth of it, and
more time than each epoch should cost; so its figures are not quite these."""
BATCH = 8
LOWEST = 0.1
"""Threshold that is suggested, at least: a model whose best one is lower has learnt too little to be told."""


@dataclass(frozen=True)
class BoxAccuracy:
    """How well boxes are found; shares 0..1."""

    ap: float
    """Average precision over overlaps from 0.5 to 0.95, as COCO defines it; the mean of the classes."""
    ap50: float
    """The same for boxes that overlap by half."""
    per_class: dict[str, float]
    """The average precision of each class; those without boxes are left out."""
    threshold: float
    """The score at which the harmonic mean of precision and recall is highest."""
    count_error: float
    """How far the numbers of boxes with that score are from the true ones in an image, summed over the classes."""
    images: int
    shown: tuple[ShownPicture, ...]
    """Those with the most mistakes first."""

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures for the log and the header."""
        return {"ap": self.ap, "ap50": self.ap50}

    @property
    def main_figure(self) -> float:
        """The one by which models are compared."""
        return self.ap


def measure_boxes(
    model: nn.Module,
    samples: BoxedSamples,
    preprocessing: Preprocess,
    *,
    meaning: BoxOutput,
    device: str = "cpu",
    bfloat16: bool = False,
    workers: int = 2,
) -> BoxAccuracy:
    """Look for boxes in every picture with `model`, which is left in evaluation mode.

    Raises:
        ImageError: an image cannot be read.
    """
    found = find_boxes(
        model, samples, preprocessing, meaning=meaning, device=device, bfloat16=bfloat16, workers=workers
    )
    quality = average_precision(samples.truth, found, len(samples.classes))
    classes = len(samples.classes)
    best = judge_counts(samples.truth, found, [meaning.threshold] * classes).total.best_threshold
    threshold = meaning.threshold if best is None else max(LOWEST, best)
    counted = judge_counts(samples.truth, found, [threshold] * classes).total
    return BoxAccuracy(
        ap=quality.ap or 0.0,
        ap50=quality.ap50 or 0.0,
        per_class={
            name: round(ap, 4) for name, ap in zip(samples.classes, quality.per_class, strict=True) if ap is not None
        },
        threshold=threshold,
        count_error=round(counted.error, 3),
        images=len(samples.paths),
        shown=show_worst(samples, found, threshold),
    )


def find_boxes(
    model: nn.Module,
    samples: BoxedSamples,
    preprocessing: Preprocess,
    *,
    meaning: BoxOutput,
    device: str = "cpu",
    bfloat16: bool = False,
    workers: int = 2,
) -> list[FoundBoxes]:
    """Return what the model finds in each picture, in the picture's pixels, down to low scores."""
    model.eval()
    found: list[FoundBoxes] = []
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
        for inputs in plain_inputs(samples, preprocessing, workers, batch=BATCH):
            answers = [answer.float().cpu().numpy() for answer in model(inputs.to(device))]
            for raw in zip(*answers, strict=True):
                boxes = decode(raw, meaning, preprocessing.size, threshold=LEAST_SCORE)
                found.append(to_picture(boxes, samples.sizes[len(found)], preprocessing))
    return found
