"""Weights into a model: names brought to the official ones, shapes checked, what is wrong said in one line."""

import functools
import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgevit.errors import CheckpointError
from edgevit.models import create_model, list_models
from edgevit.models.weights.causes import about_positions, known_architecture
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.spec import ModelSpec

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
"""What wrappers put before every name: data parallel, torch.compile, trainers, feature extractors."""

STUDENT = "student"
"""The attribute of training's own model that holds the one which learns from a teacher: in the last.pt of such a run it
stands, with a dot, before the model's names."""

SUSPECT = {
    "slendervit_": "its names are those of November 2023, when the stem's third convolution still had stride 1: "
    "validate the accuracy, which is low if the weights were trained like that",
}
"""Parts of names, and what is doubtful about files that have them, though they load."""

DERIVED = (
    ".num_batches_tracked",
    ".attention_bias_idxs",
    ".relative_bias",
    ".relative_coords_table",
    ".relative_position_index",
)
"""Ends of the names of entries that hold no trained number."""

Shapes = Mapping[str, tuple[int, ...]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mismatch:
    """Names in which a state dict differs from a model."""

    missing: list[str]
    unexpected: list[str]
    wrong: list[str]
    """Names of entries of another shape."""


def load_state(model: nn.Module, spec: ModelSpec, state: Mapping[str, Tensor], source: str) -> None:
    """Load named tensors, under any of the known names, into a model; `source` stands in the error messages.

    Raises:
        CheckpointError: they do not fit; the model is then as it was.
    """
    for part, doubt in SUSPECT.items():
        if any(part in key for key in state):
            logger.warning("%s: %s", source, doubt)
    own = model.state_dict()
    fitting = canonical_state(spec, state)
    idle = [key for key in fitting if key not in own and _optional(spec, key)]
    if idle:
        logger.warning("%s: left out %s: an input of this size has no use for them", source, _first(idle))
    fitting = {key: value for key, value in fitting.items() if key not in idle}
    check_fit(spec, {key: tuple(value.shape) for key, value in own.items()}, fitting, source)
    model.load_state_dict({**{key: own[key] for key in own if is_derived(key)}, **fitting})


def infer_num_classes(spec: ModelSpec, state: Mapping[str, Tensor], source: str = "the file") -> int:
    """Return the number of classes that a state dict's classifier has.

    Raises:
        CheckpointError: it has no classifier of this family.
    """
    head = canonical_state(spec, state).get(spec.family.head)
    if head is None or head.ndim not in (2, 4) or head.shape[0] % spec.family.anchors:
        cause = _likely_model(spec, state) or "give weights with a head"
        raise CheckpointError(f"{source} has no classifier {spec.family.head} of {spec.name}: {cause}")
    return head.shape[0] // spec.family.anchors


def canonical_state(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the official names of the family.

    A prefix is taken off only where more names fit the model without it, since official names begin with one too.
    """
    expected = shapes(spec.name).keys()
    rename = importlib.import_module(spec.family.module).canonical_keys
    candidates: Iterator[dict[str, Tensor]] = (rename(keys) for keys in _unwrapped(dict(state)))
    return max(candidates, key=lambda keys: len(expected & keys.keys()))  # the first, least changed, of equals


def _unwrapped(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield the state dict, and with PREFIXES taken off, one after another, in every order in which they occur."""
    yield state
    before = f"{STUDENT}."
    if taught := {key.removeprefix(before): value for key, value in state.items() if key.startswith(before)}:
        yield from _unwrapped(taught)
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            yield from _unwrapped({key.removeprefix(prefix): value for key, value in state.items()})


@functools.cache
def shapes(name: str) -> Shapes:
    """Return the model's state-dict names and shapes, with its published classes, without allocating its weights."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in create_model(name).state_dict().items()}


def check_fit(spec: ModelSpec, expected: Shapes, state: Mapping[str, Tensor], source: str) -> None:
    """Compare a canonical state dict with the names and shapes that a model expects.

    Raises:
        CheckpointError: they differ, or a weight is not a finite floating-point number.
    """
    mismatch = Mismatch(
        missing=[key for key in expected if key not in state and not is_derived(key)],
        unexpected=[key for key in state if key not in expected],
        wrong=[key for key in state if key in expected and tuple(state[key].shape) != expected[key]],
    )
    if mismatch != Mismatch([], [], []):
        if not mismatch.missing and not mismatch.unexpected and all(spec.family.in_head(key) for key in mismatch.wrong):
            raise CheckpointError(_class_count(spec, expected, state, source))
        if other := _likely_model(spec, state):
            raise CheckpointError(f"{source} does not fit {spec.name}: {other}")
        raise CheckpointError(_describe(mismatch, spec, expected, state, source))
    for key, value in state.items():
        if not is_derived(key) and not value.dtype.is_floating_point:
            kind = str(value.dtype).removeprefix("torch.")
            raise CheckpointError(f"{source}: {key} is {kind}, expected float; give the weights before quantization")
        if not is_derived(key) and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{source}: {key} holds NaN or infinity: training diverged; use an earlier file")


def is_derived(key: str) -> bool:
    """Whether an entry is a counter, an index or a table: no trained number, and left out of some files."""
    return key.endswith(DERIVED)


def _optional(spec: ModelSpec, key: str) -> bool:
    """Whether models that are built for some input sizes do without this weight."""
    return any(part in key for part in spec.family.optional)


def _class_count(spec: ModelSpec, expected: Shapes, state: Mapping[str, Tensor], source: str) -> str:
    family = spec.family
    found, wanted = (rows // family.anchors for rows in (state[family.head].shape[0], expected[family.head][0]))
    return (
        f"{source} has {found:,} classes, but {spec.name} was built for {wanted:,}; "
        f"pass --num-classes {found}, or leave it out"
    )


def fitting_models(state: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the models of the zoo whose layers, the classifier aside, are all in the state dict."""
    yield from (name for name in list_models() if fits(get_spec(name), state))


def fits(spec: ModelSpec, state: Mapping[str, Tensor]) -> bool:
    """Return whether a model's layers, the classifier aside, are all in the state dict."""
    found = {key: tuple(value.shape) for key, value in canonical_state(spec, state).items()}
    body = {
        key: shape for key, shape in shapes(spec.name).items() if not is_derived(key) and not spec.family.in_head(key)
    }
    return body.items() <= found.items()


def _likely_model(spec: ModelSpec, state: Mapping[str, Tensor]) -> str | None:
    """Say which other model of the zoo the state dict fits, its classifier aside; None if it fits none."""
    name = next((name for name in fitting_models(state) if name != spec.name), None)
    return name and f"its layers are those of {name}; name that model, or give weights of {spec.name}"


def _describe(mismatch: Mismatch, spec: ModelSpec, expected: Shapes, state: Mapping[str, Tensor], source: str) -> str:
    missing, unexpected, wrong = mismatch.missing, mismatch.unexpected, mismatch.wrong
    parts = [f"missing {_first(missing)}"] if missing else []
    parts += [f"unexpected {_first(unexpected)}"] if unexpected else []
    parts += [_first([f"{key} is {tuple(state[key].shape)}, not {expected[key]}" for key in wrong])] if wrong else []
    if other := known_architecture(unexpected):
        cause = other
    elif wrong and about_positions([*missing, *unexpected, *wrong]):
        cause = "weights for another size of the input or of its attention windows; name the model of that size"
    elif len(missing) == sum(not is_derived(key) for key in expected):
        cause = "no layer has a known name: another architecture"
    elif missing and all(_optional(spec, key) for key in missing):
        cause = "weights for another input size, which does without these; pass the size that they were trained at"
    elif missing and all(spec.family.in_head(key) for key in missing):
        cause = "no classifier: a backbone that must be trained on your classes first"
    elif missing and not unexpected and not wrong:
        cause = "only a part of the weights was saved"
    else:
        cause = "a changed or newer version of the model"
    return f"{source} does not fit {spec.name}: {'; '.join(parts)}; likely cause: {cause}"


def _first(names: Sequence[str], count: int = 3) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
