"""Some of many pictures, taken from all of the folder: its last classes count as its first."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Return so many of the items, evenly spaced from the first on, or all if there are no more."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]
