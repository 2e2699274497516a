"""The models of the zoo as parameters: the smallest of each family in every run, the others among the slow tests."""

from collections.abc import Iterable
from typing import Any

import pytest

from edgevit.models.zoo.registry import get_spec


def smallest_of_each_family(names: Iterable[str]) -> set[str]:
    """Return the name with the fewest parameters of each family among these."""
    smallest: dict[str, str] = {}
    for name in sorted(names, key=lambda name: get_spec(name).parameters):
        smallest.setdefault(get_spec(name).family.name, name)
    return set(smallest.values())


def by_family(names: Iterable[str]) -> list[Any]:
    """Return parameters for `pytest.mark.parametrize`, where all but the smallest of each family are marked as slow."""
    names = list(names)
    always = smallest_of_each_family(names)
    return [name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in names]
