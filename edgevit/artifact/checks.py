"""How the parts of a document refuse a value."""

from typing import Any


def require(condition: bool, field: str, found: Any, expected: str) -> None:
    """Raise ValueError unless the condition holds; the message names the field, what was found and what is expected."""
    if not condition:
        raise ValueError(f"{field} is {found!r}, expected {expected}")
