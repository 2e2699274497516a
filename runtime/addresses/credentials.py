"""Passwords and keys: from the environment, from files that it names, or from systemd; never from the command line."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgevit.errors import OptionError
from edgevit.text import decode_text

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what LoadCredential= names; https://systemd.io/CREDENTIALS/."""

LONGEST_BYTES = 1 << 16
"""What is read of a file at most; only its first line counts."""


def read_secret(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what the variable `name` holds, or the first line of the file that `name`_FILE names; None without either.

    A service has no such variables but systemd's credential `name`, which is read last.

    Raises:
        OptionError: both are set, or the file cannot be read or is empty.
    """
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise OptionError(f"{name} and {name}_FILE are both set; unset one of them")
    if value or path:
        return value or _first_line(f"{name}_FILE is {path}", Path(path or ""))
    credential = Path(environment[CREDENTIALS], name) if environment.get(CREDENTIALS) else None
    if credential is None or not credential.is_file():
        return None
    return _first_line(f"systemd's credential {name} is {credential}", credential)


def _first_line(named: str, path: Path) -> str:
    try:
        with path.open("rb") as file:  # a pipe too, as a password manager may fill it
            lines = decode_text(file.read(LONGEST_BYTES).split(b"\n", 1)[0]).splitlines()
    except (OSError, ValueError) as error:
        raise OptionError(f"{named}, which cannot be read: {_reason(error)}") from error
    if not lines or not lines[0]:
        raise OptionError(f"{named}, whose first line is empty; expected the secret there")
    return lines[0]


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not text in UTF-8"
