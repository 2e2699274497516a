"""Class names from a file, one a line or JSON, and numbers in their place."""

import re
from pathlib import Path
from typing import Any

from edgevit.artifact.files import read_regular
from edgevit.errors import OptionError
from edgevit.schema import read_json
from edgevit.text import decode_text


def numbered_labels(count: int) -> tuple[str, ...]:
    """Return "class 0", "class 1", ... for weights that come without class names."""
    return tuple(f"class {i}" for i in range(count))


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Return the class names in the order of the model's outputs.

    The file is text with one name a line (every one may stand behind its number from 0, as in Coral's and Frigate's
    files), a JSON list of names, or a JSON object {"0": "cat", "1": "dog"}.

    Raises:
        OptionError: the file cannot be read, is empty, or is of another form.
    """
    path = Path(path)
    try:
        text = decode_text(read_regular(path))
    except FileNotFoundError as error:
        raise OptionError(f"labels file {path} does not exist") from error
    except OSError as error:
        raise OptionError(
            f"labels file {path} cannot be read: {error.strerror or error}; expected one class name a line"
        ) from error
    except ValueError as error:
        raise OptionError(f"labels file {path} is {error}") from error
    labels = _from_json(text, path) if text.lstrip()[:1] in ("[", "{") else _from_lines(text, path)
    if not labels:
        raise OptionError(f"labels file {path} is empty; expected one class name a line")
    return check_labels(labels, f"labels file {path}")


def check_labels(labels: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the class names that `what` holds; OptionError if one is empty, or more than a line."""
    for index, name in enumerate(labels):
        if not name.strip() or len(name.splitlines()) > 1:
            raise OptionError(f"{what} has {name[:60]!r} for class {index}, expected a name on one line")
    return labels


def parse_names(text: str) -> tuple[str, ...] | None:
    """Return the names of a JSON list or a JSON object by index; None if the text is something else."""
    try:
        return names_of(read_json(text))
    except ValueError:
        return None


def names_of(value: Any) -> tuple[str, ...] | None:
    """Return the names of a list, or of an object by index; None of anything else."""
    if isinstance(value, dict):
        # more digits than these are no class, and Python refuses thousands of them
        numbered = {int(key): name for key, name in value.items() if re.fullmatch("[0-9]{1,9}", key)}
        if sorted(numbered) != list(range(len(value))):
            return None
        value = [numbered[index] for index in range(len(value))]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return tuple(value)


def _from_json(text: str, path: Path) -> tuple[str, ...]:
    try:
        labels = names_of(read_json(text))
    except ValueError as error:
        raise OptionError(f"labels file {path} is no JSON that can be read: {error}") from error
    if labels is None:
        raise OptionError(f'labels file {path} is JSON of another form; expected ["cat", "dog"] or {{"0": "cat", ...}}')
    return labels


def _from_lines(text: str, path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines:
        raise OptionError(f"labels file {path} has no name in line {lines.index('') + 1}; expected one a line")
    numbered = [re.fullmatch(rf"{index}[:,]?\s+(\S.*)", line) for index, line in enumerate(lines)]
    return tuple(match[1] if match and all(numbered) else line for match, line in zip(numbered, lines, strict=True))
