"""From what a user says with --weights to a file, and all that an exported model must say about it."""

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgevit.artifact.manifest import HeldOut, Preprocess
from edgevit.errors import CheckpointError, OptionError, UnknownNameError
from edgevit.models import create_model
from edgevit.models.weights.checkpoint import read_checkpoint
from edgevit.models.weights.download import fetch, sha256_of
from edgevit.models.weights.load import infer_num_classes, load_state
from edgevit.models.weights.trained import read_training_facts
from edgevit.models.zoo.registry import find_weights
from edgevit.models.zoo.spec import ModelSpec, WeightsSpec

RANDOM = "random"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights that are there, ready to be loaded."""

    path: Path | None
    """None: random weights."""
    source: str
    """File name, registry entry, or "random"."""
    sha256: str
    """SHA-256 of the file; empty for random weights."""
    license: str
    trained: bool
    labels: tuple[str, ...]
    """Empty where the class names are not known."""
    preprocess: Preprocess
    note: str = ""
    """What the classes are."""
    entry: WeightsSpec | None = None
    held_out: HeldOut | None = None
    """Which pictures were not trained on; None where that is not known."""
    key: str | None = None
    """Which weights of the file, as Checkpoint has it; None for the best."""
    threshold: float | None = None
    """The score, 0..1, from which a box is to be told; None where no training suggests one."""


def resolve_weights(spec: ModelSpec, weights: str | None) -> ResolvedWeights:
    """Return the weights that `weights` names: a registry entry, a file or "random"; None is the registry's first.

    Raises:
        OptionError: nothing was named and the registry has nothing; the message lists the choices.
        UnknownNameError: neither an entry nor a file has this name.
        CheckpointError: the file does not exist, or a bundled one is missing.
        DownloadError: an entry could not be downloaded.
    """
    if weights == RANDOM:
        return ResolvedWeights(
            None, RANDOM, "", "none", False, (), spec.preprocess, "random weights: the answers mean nothing"
        )
    if weights is None:
        if not spec.weights:
            raise OptionError(
                f"no trained weights of {spec.name} are published; pass --weights FILE with your own, train some with "
                f"`edgevit train {spec.name} --data DIR`, or pass --weights random to try the tools"
            )
        return _from_entry(spec, spec.weights[0])
    if entry := find_weights(spec, weights):
        return _from_entry(spec, entry)
    path, key = split_key(weights)
    if path.exists():
        return _from_file(spec, path, key)
    if path.suffix or len(path.parts) > 1:
        raise CheckpointError(f"{path} does not exist; give the path of a .pt, .pth or .safetensors file")
    names = [entry.name for entry in spec.weights]
    raise UnknownNameError(f"weights of {spec.name}", weights, [*names, RANDOM, "FILE"])


def build_with_weights(
    spec: ModelSpec, weights: ResolvedWeights, num_classes: int | None = None, size: tuple[int, int] | None = None
) -> nn.Module:
    """Build the model and load the weights into it; random weights are the same ones each time.

    Args:
        spec: the model.
        weights: what `resolve_weights` returned.
        num_classes: must be what the weights have; unless given, taken from them, or for random weights those of
            the published model.
        size: (height, width) of the input that the model is for; that of the weights unless given.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or has another number of classes.
    """
    size = size or weights.preprocess.size
    if weights.path is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create_model(spec.name, num_classes, size)
    checkpoint = read_checkpoint(weights.path, weights.key)
    if checkpoint.choice and weights.key is None:
        log.info("%s: %s; choose with --weights %s:KEY", weights.path, checkpoint.choice, weights.path)
    state = checkpoint.tensors
    model = create_model(spec.name, num_classes or infer_num_classes(spec, state, str(weights.path)), size)
    load_state(model, spec, state, str(weights.path))
    return model


def bundled_path(entry: WeightsSpec) -> Path:
    """Return where a bundled file of weights is installed.

    Raises:
        CheckpointError: it is not there.
    """
    found = importlib.util.find_spec("edgevit.export")
    folders = (found.submodule_search_locations or []) if found else []
    path = next((path for folder in folders if (path := Path(folder, "weights", entry.file)).is_file()), None)
    if path is None:
        raise CheckpointError(
            f"the bundled weights {entry.file} are missing from this installation; install edgevit again, or pass "
            "--weights FILE"
        )
    return path


def _from_entry(spec: ModelSpec, entry: WeightsSpec) -> ResolvedWeights:
    path = bundled_path(entry) if entry.bundled else fetch(entry)
    source = f"{spec.name}/{entry.name}"
    facts = read_training_facts(path) if entry.bundled else None
    held_out, threshold = (facts.held_out, facts.threshold) if facts else (None, None)
    return ResolvedWeights(
        *(path, source, sha256_of(path), entry.license, True, entry.labels, entry.preprocess, entry.note, entry),
        held_out=held_out,
        threshold=threshold,
    )


def split_key(weights: str) -> tuple[Path, str | None]:
    """Return the path of "FILE" or "FILE:KEY", and the key of the weights in it; None for the best.

    Raises:
        OptionError: there is no path, which would stand for the current folder.
    """
    path, colon, key = weights.rpartition(":")
    if not weights or (weights.startswith(":") and not Path(weights).exists()):
        raise OptionError(f"the weights are {weights!r}, expected a name or a file")
    if colon and key and not Path(weights).exists() and Path(path).exists():
        return Path(path), key
    return Path(weights), None


def _from_file(spec: ModelSpec, path: Path, key: str | None) -> ResolvedWeights:
    """Take labels and preprocessing from what `edgevit train` wrote into the file, if it did."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the file of weights in it (.pt, .pth or .safetensors)")
    facts = read_training_facts(path)
    labels, preprocess = (facts.labels, facts.preprocess) if facts else ((), spec.preprocess)
    held_out, threshold = (facts.held_out, facts.threshold) if facts else (None, None)
    taken = read_checkpoint(path, key)
    source = f"{path.name}:{taken.key}" if taken.others else path.name
    return ResolvedWeights(
        *(path, source, sha256_of(path), "not stated", True, labels, preprocess),
        held_out=held_out,
        key=key,
        threshold=threshold,
    )
