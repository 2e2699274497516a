"""Opening a model's file."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from edgevit.errors import ModelFileError
from edgevit.system.platforms import READ_AT_ONCE

FilePath = str | os.PathLike[str]
"""Where a model's file lies, as text or a Path. Opening one imports no pathlib: where modules are not compiled, that
takes longer than any module of edgevit."""
LARGEST_TEXT = 16 << 20
"""Bytes of one text inside a model's file that are read at most; the labels of 21,841 classes take half a megabyte."""
MOST_PAIRS = 10_000
"""Key-value pairs inside a model's file that are read at most."""


def file_suffix(path: FilePath) -> str:
    """Return the end of a file's name from its last dot on, in small letters; "" where it has none."""
    return os.path.splitext(path)[1].lower()


@contextlib.contextmanager
def open_model(path: FilePath) -> Iterator[BinaryIO]:
    """Open a model's file for reading; what goes wrong, then or later, is a ModelFileError of one line."""
    try:
        with open_regular(path) as file:
            yield file
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist; give the path of an exported model") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def open_regular(path: str | bytes | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading that is one: a pipe would be waited for, and a device may have no end.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: the path holds a zero byte.
    """
    if os.path.isdir(path):  # Windows does not open it, and would call it forbidden
        raise IsADirectoryError("Is a directory")
    descriptor = os.open(path, READ_AT_ONCE)
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise OSError("it is a pipe or a device, not a file")
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def read_regular(path: str | bytes | os.PathLike[str], most: int = LARGEST_TEXT) -> bytes:
    """Read a whole file that is one and has no more than `most` bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
        ValueError: the path holds a zero byte.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it has more than {most} bytes")
    return content
