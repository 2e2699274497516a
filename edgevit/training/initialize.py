"""Start from trained weights: everything that fits is loaded, what is for other classes or another task starts anew.

Weights of another task fit where the backbone is the same: a detector starts from a classifier's, a classifier from a
detector's. A hallucinated model (edgevit/models/hallucinated.py) starts from the plain one's, with what both have.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from edgevit.errors import UnknownNameError
from edgevit.models.hallucinated import shared_weights
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.load import canonical_state, fits, infer_num_classes, is_derived, load_state
from edgevit.models.weights.resolve import RANDOM, ResolvedWeights, bundled_path, resolve_weights, split_key
from edgevit.models.zoo.registry import IMAGENET, find_weights, get_spec, relatives
from edgevit.models.zoo.spec import ModelSpec, WeightsSpec


def advise_start(spec: ModelSpec, init: str | None) -> str:
    """Return what to say to who starts from nothing, or from bundled weights: which better ones there may be.

    Args:
        spec: the model.
        init: a name or file of weights, None for random ones.
    """
    bundled = init is not None and (given := find_weights(spec, init)) is not None and given.start
    if (init is None or bundled) and (entry := find_weights(spec, IMAGENET)):
        return f"; published ImageNet weights ({entry.license}) are --init {IMAGENET}, and mostly a better start"
    if init is None and spec.weights:
        entry = next((each for each in spec.weights if each.start), spec.weights[0])
        return f"; trained weights ({entry.note}) are --init {entry.name}"
    return ""


def load_initial(model: nn.Module, spec: ModelSpec, weights: str, classes: Sequence[str]) -> str:
    """Load weights, a file or a registry entry, into a model for `classes`; say in a few words what was loaded.

    The classifier is left as it is where that of the weights has another number of classes, or other class names; so
    is all but the backbone where they are for another task.

    Args:
        model: built by `create_model` for these classes.
        spec: what it is.
        weights: a name that the registry has for this model or one of its `relatives`, a file, or "random".
        classes: names, in order.

    Raises:
        UnknownNameError: neither an entry nor a file has this name.
        CheckpointError: the file cannot be read, or is of another model; the model is then as it was.
        DownloadError: an entry could not be downloaded.
    """
    resolved = _resolve(spec, weights)
    if resolved.path is None:
        return f"{resolved.source} weights"
    raw, own = read_state_dict(resolved.path, resolved.key), model.state_dict()
    plain = get_spec(spec.plain) if spec.plain else None
    if plain and not fits(spec, raw) and fits(plain, raw):
        found = infer_num_classes(plain, raw, resolved.source)
        state = own | shared_weights(model, canonical_state(plain, raw))
        what = f"the weights that {spec.name} has in common with {plain.name}, of {resolved.source}"
    else:
        state = canonical_state(spec, raw)
        if not fits(spec, raw) and _has_backbone(spec, own, state):
            return _load_common(model, spec, state, resolved)
        found = infer_num_classes(spec, state, resolved.source)
        what = f"all weights of {resolved.source}"
    same_classes = found == len(classes) and resolved.labels in ((), tuple(classes))
    if not same_classes:
        state |= {key: value for key, value in own.items() if spec.family.in_head(key)}
    load_state(model, spec, state, resolved.source)
    if same_classes:
        return what
    why = f"{found} classes there, {len(classes)} here" if found != len(classes) else "it is for other classes"
    return f"{what} but the classifier, which starts anew ({why})"


def initial_file(spec: ModelSpec, weights: str) -> Path | None:
    """Return the file of weights that `load_initial` takes; None for those that are downloaded, or random."""
    if entry := _find_entry(spec, weights):
        return bundled_path(entry) if entry.bundled else None
    return None if weights == RANDOM else split_key(weights)[0]


def name_start(spec: ModelSpec, weights: str | None) -> str:
    """Return weights to start from as any folder may call them: the path of a file is absolute, None is "random"."""
    if weights is None or weights == RANDOM:
        return RANDOM
    if entry := _find_entry(spec, weights):
        return entry.name
    path, key = split_key(weights)
    return os.path.realpath(path) + (f":{key}" if key else "")


def _find_entry(spec: ModelSpec, weights: str) -> WeightsSpec | None:
    """Return what the registry has of this name for a model or one of its relatives."""
    return next((found for each in relatives(spec) if (found := find_weights(each, weights))), None)


def _resolve(spec: ModelSpec, weights: str) -> ResolvedWeights:
    """Return the weights of the first of a model's relatives that the registry has some of this name for, or a file."""
    known = relatives(spec)
    try:
        return resolve_weights(next((each for each in known if find_weights(each, weights)), spec), weights)
    except UnknownNameError as error:
        names = dict.fromkeys(entry.name for each in known for entry in each.weights)
        raise UnknownNameError(f"weights for {spec.name}", weights, [*names, RANDOM, "FILE"]) from error


def _has_backbone(spec: ModelSpec, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    """Return whether a state dict under the model's names has the whole backbone."""
    keys = [key for key in own if key.startswith(spec.family.backbone) and not is_derived(key)]
    return bool(spec.family.backbone) and all(key in state and state[key].shape == own[key].shape for key in keys)


def _load_common(model: nn.Module, spec: ModelSpec, state: Mapping[str, Tensor], resolved: ResolvedWeights) -> str:
    """Load what has the names and shapes of the model's own weights, the classifier aside; say how much that was."""
    own = model.state_dict()
    taken = {
        key: state[key]
        for key, value in own.items()
        if key in state and state[key].shape == value.shape and not spec.family.in_head(key)
    }
    load_state(model, spec, own | taken, resolved.source)
    wanted = [key for key in own if not is_derived(key)]
    anew = dict.fromkeys(key.split(".")[0] for key in wanted if key not in taken)
    count = sum(key in taken for key in wanted)
    return f"{count} of {len(wanted)} tensors of {resolved.source}; new: {', '.join(anew)}"
