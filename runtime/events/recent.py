"""A dictionary that forgets: what is remembered of sources stays small, also where each file is a source of its own."""

from collections import OrderedDict
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST = 1000
"""Keys that are remembered."""


class Recent(OrderedDict[Key, Value]):
    """Keeps the MOST keys that were set last."""

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > MOST:
            self.popitem(last=False)
