"""How long loops over images show their progress, wherever they run."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps an iterable to show its progress: (items, what is done, how many) to the same items."""
