"""Opening a model's file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgevit.errors import ModelFileError


@contextlib.contextmanager
def open_model(path: Path) -> Iterator[BinaryIO]:
    """Open a model's file for reading; what goes wrong, then or later, is a ModelFileError of one line."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist; give the path of an exported model") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
