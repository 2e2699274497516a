"""Start from trained weights: everything is loaded, except a classifier for other classes."""

from collections.abc import Sequence

from torch import nn

from edgevit.models.checkpoint import read_state_dict
from edgevit.models.resolve import resolve_weights
from edgevit.models.spec import ModelSpec
from edgevit.models.weights import canonical_state, infer_num_classes, load_state


def load_initial(model: nn.Module, spec: ModelSpec, weights: str, classes: Sequence[str]) -> str:
    """Load weights, a file or a registry entry, into a model for `classes`; say in a few words what was loaded.

    The classifier is left as it is where that of the weights has another number of classes, or other class names.

    Raises:
        UnknownNameError: neither an entry nor a file has this name.
        CheckpointError: the file cannot be read, or is of another model; the model is then as it was.
        DownloadError: an entry could not be downloaded.
    """
    resolved = resolve_weights(spec, weights)
    if resolved.path is None:
        return f"{resolved.source} weights"
    state = canonical_state(spec, read_state_dict(resolved.path))
    found = infer_num_classes(spec, state, resolved.source)
    same_classes = found == len(classes) and resolved.labels in ((), tuple(classes))
    if not same_classes:
        head = spec.family.head.rpartition(".")[0] + "."
        state |= {key: value for key, value in model.state_dict().items() if key.startswith(head)}
    load_state(model, spec, state, resolved.source)
    if same_classes:
        return f"all weights of {resolved.source}"
    why = f"{found} classes there, {len(classes)} here" if found != len(classes) else "it is for other classes"
    return f"all weights of {resolved.source} but the classifier, which starts anew ({why})"
