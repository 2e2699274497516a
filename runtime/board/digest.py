"""Which file was opened: the digest of the very bytes that a model was loaded from."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from edgevit.errors import ModelFileError
from edgevit.runtime.classifier import Classifier

ATTEMPTS = 5
"""How often a file is opened that another one replaces meanwhile."""


def open_known(path: Path, open_model: Callable[[], Classifier]) -> Classifier:
    """Open a model, and note the digest of its file in it.

    A file that is replaced while it is being opened is opened anew, so that the digest belongs to what answers.

    Raises:
        ModelFileError: it cannot be read, or is replaced again and again.
        EdgevitError: whatever `open_model` raises.
    """
    for _ in range(ATTEMPTS):
        try:
            before = _identity(path)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
        model = open_model()
        if path.exists() and _identity(path) == before:
            model.sha256 = digest
            return model
        model.close()
    raise ModelFileError(f"{path} was replaced {ATTEMPTS} times while it was opened; wait until it is whole")


def _identity(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
