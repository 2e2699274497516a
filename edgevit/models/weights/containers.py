"""Where in a checkpoint the weights lie, averaged ones and those of the last step, by the names around them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema")
"""Where trainers keep averaged weights: they are what a trainer evaluates, so they come first, these before others."""
AVERAGING_WORDS = frozenset({"ema", "averaged", "average", "avg", "swa", "shadow"})
"""Words in the other names of averaged weights, such as swa_model, params_ema or EMACallback."""
RAW = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params", "callbacks")
"""Where trainers keep the weights of the last step; Lightning's callbacks hold averages."""
DEEPEST = 8
"""Folders within folders of a checkpoint that are looked into; deeper is damage."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Containers:
    """The state dicts of a checkpoint."""

    named: dict[str, Mapping[Any, Any]] = field(default_factory=dict)
    """By the names around them joined by "/", the best first."""
    nameless: list[str] = field(default_factory=list)
    """Places of averaged weights that are kept as a list, without the names of their layers."""


def find_state_dicts(content: Any) -> Containers:
    """Return the state dicts that trainers' names lead to; a file that holds itself is walked once."""
    averaged: dict[str, Mapping[Any, Any]] = {}
    last: dict[str, Mapping[Any, Any]] = {}
    nameless: list[str] = []
    seen: set[int] = set()

    def look(inside: Mapping[Any, Any], names: tuple[str, ...], average: bool) -> int:
        """Note the state dicts in a container; return how many there were."""
        if id(inside) in seen or len(names) > DEEPEST:
            return 0
        seen.add(id(inside))
        count = 0
        for name, value in _containers(inside, average):
            count += look(value, (*names, str(name)), average or is_average(str(name)))
        nameless.extend(
            "/".join((*names, str(name)))
            for name, value in inside.items()
            if (average or is_average(str(name))) and _is_list_of_tensors(value)
        )
        if count or not any(isinstance(value, Tensor) for value in inside.values()):
            return count  # what surrounds the weights is no state dict, even if a tensor lies beside them
        parts = _split(inside)
        for prefix, part in parts.items():
            if place := "/".join(filter(None, (*names, prefix))):
                (averaged if average or prefix else last)[place] = part
        return len(parts)

    if isinstance(content, Mapping):
        look(content, (), False)
    return Containers(averaged | last, nameless)


def at_place(content: Any, place: str) -> Mapping[Any, Any] | None:
    """Return the container under names joined by "/", whatever they are; None if there is none."""
    for wanted in place.split("/"):
        if not isinstance(content, Mapping):
            return None
        content = next((value for name, value in content.items() if str(name) == wanted), None)
    return content if isinstance(content, Mapping) else None


def is_average(name: str) -> bool:
    """Return whether weights under this name are averaged over the steps of a training."""
    return not AVERAGING_WORDS.isdisjoint(word.lower() for word in _WORD.findall(name))


def _containers(inside: Mapping[Any, Any], average: bool) -> Iterator[tuple[Any, Mapping[Any, Any]]]:
    """Yield the mappings that may hold weights, the best first; within averages all but an optimizer's state."""
    known = (*AVERAGED, *RAW)
    names = [name for name, value in inside.items() if isinstance(value, Mapping)]
    wanted = [name for name in names if name in known or is_average(str(name)) or average]

    def rank(name: Any) -> int:
        return known.index(name) if name in known else len(AVERAGED) - 1 if is_average(str(name)) else len(known)

    yield from ((name, inside[name]) for name in sorted(wanted, key=rank) if "optim" not in str(name).lower())


def _is_list_of_tensors(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(entry, Tensor) for entry in value)


def _split(state: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """Part a state dict that holds a model and its average, as one whose names begin with "ema_model." or the like."""
    prefixes = [key.split(".")[0] if isinstance(key, str) and "." in key else "" for key in state]
    averages = {prefix for prefix in prefixes if "ema" in map(str.lower, _WORD.findall(prefix))}
    parts: dict[str, dict[Any, Any]] = {prefix: {} for prefix in (*sorted(averages), "")}
    for prefix, (key, value) in zip(prefixes, state.items(), strict=True):
        if prefix in averages:
            parts[prefix][key.removeprefix(f"{prefix}.")] = value
        else:
            parts[""][key] = value
    return {prefix: part for prefix, part in parts.items() if part} if averages else {"": state}
