"""What a run of a detection model minimizes."""

from collections.abc import Callable
from dataclasses import replace

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.training.detection.retina import RetinaLoss
from edgevit.training.detection.yolox import YoloxLoss
from edgevit.training.objective import Loss, Objective, find_changes
from edgevit.training.recipe import Recipe

LOSSES: dict[str, Callable[[tuple[int, ...]], Loss]] = {"yolox": YoloxLoss, "retina": RetinaLoss}
"""What a model's answers mean to its loss."""


def find_boxes_objective(recipe: Recipe, meaning: BoxOutput, preprocess: Preprocess) -> Objective:
    """Return the objective of a model whose answers have this meaning; nothing is erased, which may be an object."""
    changes = replace(find_changes(recipe, preprocess), erase=0.0)
    return Objective(LOSSES[meaning.decode](meaning.strides), changes, preprocess, best="ap")
