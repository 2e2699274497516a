"""The file `last.pt`: all that a run needs to continue as if it had not stopped."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgevit.errors import CheckpointError, OutputError
from edgevit.files import replacing
from edgevit.training.recipe import Recipe, differences


@dataclass(frozen=True)
class TrainingState:
    """What changes during training, and what it must not be mixed up with."""

    model: nn.Module
    averaged: nn.Module
    """Exponential moving average of `model`, statistics included."""
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    data: str
    """Fingerprint of the training images."""


def save(path: Path, state: TrainingState, step: int) -> None:
    """Write the state after `step` steps; an older file is replaced whole, or left as it was.

    Raises:
        OutputError: the file cannot be written.
    """
    document = {
        "step": step,
        "recipe": state.recipe.to_json(),
        "data": state.data,
        "model": state.model.state_dict(),
        "state_dict_ema": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
    }
    try:
        with replacing(path) as temporary:
            torch.save(document, temporary)
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError to torch
        raise OutputError(f"{path} cannot be written ({error}); free some space, or give another --out") from error


def require(path: Path) -> None:
    """Raise CheckpointError if there is nothing to resume."""
    if not path.is_file():
        raise CheckpointError(f"--resume: {path} does not exist; run without --resume to start")


def restore(path: Path, state: TrainingState) -> int:
    """Load the file into the state's modules and optimizer; return the number of steps done.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it belongs to another recipe, model or set of images.
    """
    require(path)
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
        recipe, data, step = document["recipe"], document["data"], int(document["step"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"--resume: {path} is damaged or not of a training run ({reason}); delete it") from error
    if changed := differences(recipe, state.recipe.to_json()):
        raise CheckpointError(f"--resume: {path} was trained with other options ({changed}); repeat those")
    if data != state.data:
        raise CheckpointError(f"--resume: {path} was trained on other images; restore those, or give another --out")
    try:
        state.model.load_state_dict(document["model"])
        state.averaged.load_state_dict(document["state_dict_ema"])
    except RuntimeError as error:
        raise CheckpointError(f"--resume: {path} is of another model; give its name, or another --out") from error
    state.optimizer.load_state_dict(document["optimizer"])
    return step
