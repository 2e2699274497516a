"""Whether a file can be written, asked before hours of work rather than after."""

import tempfile
from pathlib import Path

from edgevit.errors import OptionError, OutputError
from edgevit.system.files import check_folder


def check_writable(path: Path, suffix: str) -> None:
    """Raise OutputError if a model cannot be written at `path`; asked before hours of work rather than after.

    Raises:
        OptionError: the name does not end in the format's suffix.
        OutputError: the folder is missing or not writable, or `path` is a folder.
    """
    if path.suffix != suffix:
        raise OptionError(f"-o {path} does not end in {suffix}; give a file name that does")
    check_place(path, f"-o {path}")


def check_place(path: Path, place: str) -> None:
    """Do the same for any file; the message begins with its place, such as "--report farm.html".

    Raises:
        OutputError: the folder is missing or not writable, or `path` is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{place} is a folder; give a file name")
    check_folder(path.parent, place)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{place} cannot be written: {error.strerror}; choose another place") from error
