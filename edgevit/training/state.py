"""The file `last.pt`: all that a run needs to continue as if it had not stopped."""

import contextlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgevit.errors import CheckpointError, OutputError
from edgevit.models.weights.trained import STATE_KEY
from edgevit.schema import read_value
from edgevit.system.files import replacing
from edgevit.training.recipe import Recipe, differences


@dataclass
class Best:
    """The averaged weights with the highest figure so far."""

    figure: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, figure: float | None, averaged: nn.Module) -> None:
        """Remember the weights if none were better."""
        if figure is not None and (self.figure is None or figure >= self.figure):
            self.figure = figure
            self.weights = {key: value.detach().cpu().clone() for key, value in averaged.state_dict().items()}

    def load_into(self, averaged: nn.Module) -> None:
        """Give a model the remembered weights, if there are any."""
        if self.weights:
            averaged.load_state_dict(self.weights)


@dataclass(frozen=True)
class Conditions:
    """What decides the result of a run besides its recipe and its images."""

    init: str
    """The weights that it started from, as `initialize.name_start` names them."""
    started_from: str
    """What was loaded of them, in words."""
    crop_pct: float
    val_fraction: float
    bn_batches: int


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
    listed: str | None = None
    """Fingerprint of all that were listed, readable or not; None where that is not known."""
    best: Best = field(default_factory=Best)
    conditions: Conditions | None = None
    """None where they are not known."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the file says of its weights to who starts from them, as TrainingFacts writes it."""


def save(path: Path, state: TrainingState, step: int) -> None:
    """Write the state after `step` steps; an older file is replaced whole, or left as it was.

    Raises:
        OutputError: the file cannot be written.
    """
    document = {
        "step": step,
        "recipe": state.recipe.to_json(),
        "conditions": state.conditions and asdict(state.conditions),
        "data": state.data,
        "listed": state.listed,
        STATE_KEY: dict(state.facts),
        "model": state.model.state_dict(),
        "state_dict_ema": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "best": {"figure": state.best.figure, "weights": state.best.weights},
    }
    try:
        with replacing(path) as temporary:
            torch.save(document, temporary)
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError to torch
        raise OutputError(f"{path} cannot be written ({error}); free some space, or give another --out") from error


@dataclass(frozen=True)
class SavedRun:
    """What `last.pt` says of its run."""

    step: int
    """Steps done."""
    recipe: Recipe
    data: str
    """Fingerprint of the images that could be read."""
    listed: str | None
    """Fingerprint of all that were listed; None in files of older versions."""
    conditions: Conditions | None
    """None in files of older versions."""
    document: dict[str, Any]

    def changes(self, recipe: Recipe, conditions: Conditions | None = None) -> str:
        """Name the options that are not those of the run, for a message; empty if all are, as far as is known."""
        before, now = asdict(self.recipe), asdict(recipe)
        if conditions is not None and self.conditions is not None:
            before |= asdict(self.conditions)
            now |= asdict(replace(conditions, started_from=self.conditions.started_from))
        return differences(before, now)

    def check(
        self,
        path: Path,
        recipe: Recipe,
        *,
        conditions: Conditions | None = None,
        data: str | None = None,
        listed: str | None = None,
    ) -> None:
        """Raise CheckpointError where a run with these options and images would not be the one that was saved."""
        if changed := self.changes(recipe, conditions):
            raise CheckpointError(f"--resume: {path} was trained with other options ({changed}); repeat those")
        pairs = ((data, self.data), (listed, self.listed))
        # older versions saved the beginning of a fingerprint, where it has more parts now
        if any(now is not None and before is not None and not now.startswith(before) for now, before in pairs):
            raise CheckpointError(f"--resume: {path} was trained on other images; restore those, or give another --out")


def read_saved(path: Path) -> SavedRun:
    """Read `last.pt`.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"--resume: {path} does not exist; run without --resume to start")
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
        recipe = Recipe.from_json(document["recipe"])
        saved = document.get("conditions")
        conditions = None if saved is None else read_value(Conditions, saved, "conditions")
        return SavedRun(int(document["step"]), recipe, document["data"], document.get("listed"), conditions, document)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"--resume: {path} is damaged or not of a training run ({reason}); delete it") from error


def restore(path: Path, state: TrainingState) -> int:
    """Load the file into the state's modules and optimizer; return the number of steps done.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it belongs to another recipe, model or set of images.
    """
    saved = read_saved(path)
    saved.check(path, state.recipe, data=state.data)
    try:
        state.model.load_state_dict(saved.document["model"])
        state.averaged.load_state_dict(saved.document["state_dict_ema"])
    except RuntimeError as error:
        raise CheckpointError(f"--resume: {path} is of another model; give its name, or another --out") from error
    state.optimizer.load_state_dict(saved.document["optimizer"])
    found = saved.document.get("best", {})  # which files of older versions do not have
    state.best.figure, state.best.weights = found.get("figure"), found.get("weights", {})
    return saved.step


def append_to_log(path: Path, record: dict[str, Any]) -> None:
    """Add a line to a log."""
    with path.open("a", encoding="utf-8", newline="\n") as log:
        log.write(json.dumps(record) + "\n")


def keep_log(path: Path, done: int) -> None:
    """Leave in a log only what was logged up to step `done`: a kill may come between a line and its checkpoint."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if done and path.exists() else ():
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that the kill cut
            if json.loads(line)["step"] <= done:
                kept.append(f"{line}\n")
    with replacing(path) as file:
        file.write_text("".join(kept), encoding="utf-8", newline="\n")
