"""Start from trained weights: everything is loaded, except a classifier for other classes.

A hallucinated model (edgevit/models/hallucinated.py) also starts from weights of the plain one, with what both have.
"""

from collections.abc import Sequence

from torch import nn

from edgevit.models.hallucinated import shared_weights
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.load import canonical_state, fits, infer_num_classes, load_state
from edgevit.models.weights.resolve import resolve_weights
from edgevit.models.zoo.registry import find_weights, get_spec
from edgevit.models.zoo.spec import ModelSpec


def load_initial(model: nn.Module, spec: ModelSpec, weights: str, classes: Sequence[str]) -> str:
    """Load weights, a file or a registry entry, into a model for `classes`; say in a few words what was loaded.

    The classifier is left as it is where that of the weights has another number of classes, or other class names.

    Raises:
        UnknownNameError: neither an entry nor a file has this name.
        CheckpointError: the file cannot be read, or is of another model; the model is then as it was.
        DownloadError: an entry could not be downloaded.
    """
    plain = get_spec(spec.plain) if spec.plain else None
    entries = plain if plain and find_weights(plain, weights) else spec
    resolved = resolve_weights(entries, weights)
    if resolved.path is None:
        return f"{resolved.source} weights"
    raw, own = read_state_dict(resolved.path, resolved.key), model.state_dict()
    if plain and not fits(spec, raw) and fits(plain, raw):
        found = infer_num_classes(plain, raw, resolved.source)
        state = shared_weights(model, canonical_state(plain, raw))
        what = f"the weights that {spec.name} has in common with {plain.name}, of {resolved.source}"
        state = own | state
    else:
        state = canonical_state(spec, raw)
        found = infer_num_classes(spec, state, resolved.source)
        what = f"all weights of {resolved.source}"
    same_classes = found == len(classes) and resolved.labels in ((), tuple(classes))
    if not same_classes:
        head = spec.family.head.rpartition(".")[0] + "."
        state |= {key: value for key, value in own.items() if key.startswith(head)}
    load_state(model, spec, state, resolved.source)
    if same_classes:
        return what
    why = f"{found} classes there, {len(classes)} here" if found != len(classes) else "it is for other classes"
    return f"{what} but the classifier, which starts anew ({why})"
