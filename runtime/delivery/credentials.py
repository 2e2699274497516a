"""Passwords and keys, from the environment or from files that it names: never from the command line."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgevit.errors import OptionError


def read_secret(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what the variable `name` holds, or the first line of the file that `name`_FILE names; None without either.

    Raises:
        OptionError: both are set, or the file cannot be read or is empty.
    """
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise OptionError(f"{name} and {name}_FILE are both set; unset one of them")
    if not path:
        return value or None
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise OptionError(f"{name}_FILE is {path}, which cannot be read: {_reason(error)}") from error
    if not lines or not lines[0]:
        raise OptionError(f"{name}_FILE is {path}, whose first line is empty; expected the secret there")
    return lines[0]


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not text in UTF-8"
