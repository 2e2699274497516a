"""Writing a site's files so that a cut at any moment leaves the old site or the new one."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from edgevit.errors import EdgevitError, OutputError, SiteError
from edgevit.system.files import make_folders, replacing

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write a file under a temporary name, flush it, give it its name, and flush that: what comes later is later.

    Raises:
        OutputError: the disk does not take it.
    """
    with writing(path, mode=mode) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def writing(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Do as `write_file` with what the block writes to the path that is yielded; the folder is made."""
    with told(path):
        make_folders(path.parent)
        with replacing(path, durable=True, mode=mode) as temporary:
            yield temporary


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Make an OutputError of one line of what the disk does not take."""
    try:
        yield
    except EdgevitError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; mend that, and repeat") from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one command at a time change a site: a renewal by the clock and a publish by hand may meet.

    Raises:
        SiteError: there is no such folder.
    """
    if not folder.is_dir():
        raise SiteError(f"{folder} is no folder; `edgevit fleet init {shlex.quote(str(folder))}` makes a site there")
    if fcntl is None:
        yield
        return
    # a folder can be locked as a file is, and so nothing is left that would be uploaded
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
