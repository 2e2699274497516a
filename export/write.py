"""ONNX graph and manifest to one sealed file, written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgevit.errors import OptionError, OutputError


def check_writable(path: Path, suffix: str) -> None:
    """Raise OutputError if a file cannot be written at `path`; asked before hours of work rather than after.

    Raises:
        OptionError: the name does not end in the format's suffix.
        OutputError: the folder is missing or not writable, or `path` is a folder.
    """
    if path.suffix != suffix:
        raise OptionError(f"-o {path} does not end in {suffix}; give a file name that does")
    if path.is_dir():
        raise OutputError(f"-o {path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise OutputError(f"-o {path}: the folder {path.parent} does not exist; make it first")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"-o {path} cannot be written: {error.strerror}; choose another place") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` if the block succeeds.

    Raises:
        OutputError: the folder or the disk does not take the file.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another place with -o") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; free some space or choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
