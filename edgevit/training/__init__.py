"""Training and fine-tuning on folders of images: `train(...)`; needs torch, never imported on the board."""

import importlib
from typing import TYPE_CHECKING, Any

from edgevit.errors import MissingExtraError

if TYPE_CHECKING:
    from edgevit.training.accuracy import Accuracy
    from edgevit.training.detection.measure import BoxAccuracy
    from edgevit.training.job import Watcher
    from edgevit.training.keywords import TrainingResult, train
    from edgevit.training.masked import MaskAccuracy
    from edgevit.training.recipe import Recipe

__all__ = ["Accuracy", "BoxAccuracy", "MaskAccuracy", "Recipe", "TrainingResult", "Watcher", "train"]

_HOMES = {
    "Accuracy": "accuracy",
    "BoxAccuracy": "detection.measure",
    "MaskAccuracy": "masked",
    "Recipe": "recipe",
    "TrainingResult": "keywords",
    "Watcher": "job",
    "train": "keywords",
}
"""Name to the module here that has it."""


def __getattr__(name: str) -> Any:
    """Import PyTorch only when something is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(error.name, "training", "train") from error


def __dir__() -> list[str]:
    return sorted(__all__)
