"""A file is written whole or not at all, and an older one stays as it was until the new one is there."""

import contextlib
import errno
import os
import secrets
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from edgevit.errors import EdgevitError, OutputError

PART = ".part-"
"""Beginning of a temporary file's name: what a power cut may leave behind."""


def lock(handle: int) -> bool:
    """Have a file for this process alone until it is closed; tell whether that is so, or another has it.

    Where the system, or the place of the file, has no such locks nobody is kept out.
    """
    try:
        import fcntl  # Windows has none
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def unlock(handle: int) -> None:
    """Let others have a file, whoever else has this one open."""
    try:
        import fcntl  # Windows has none
    except ModuleNotFoundError:
        return
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)


class OwnedFolder:
    """A folder into which no other run writes until this is closed, or gone: two would give pictures the same names."""

    def __init__(self) -> None:
        """Have none yet."""
        self.close: Callable[[], object] = lambda: None

    def have(self, folder: Path) -> None:
        """Have a folder, where the system has such locks.

        Raises:
            OSError: it cannot be opened.
            OutputError: another run writes there.
        """
        if os.name != "posix":  # elsewhere a folder cannot be opened
            return
        handle = os.open(folder, os.O_RDONLY)
        self.close = weakref.finalize(self, _let_go, handle, os.getpid())
        if not lock(handle):
            self.close()
            raise OutputError(
                f"{folder} is being written by another run, or another --to of this one; wait for its end, or choose "
                "another folder"
            )


def _let_go(handle: int, maker: int) -> None:
    """Close a file and unlock it, also where a process that was forked meanwhile has it open, which unlocks nothing."""
    if os.getpid() == maker:
        unlock(handle)
    os.close(handle)


def make_folders(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder, and those that it lies in, unless it is there.

    Args:
        folder: to be made.
        mode: its permissions, such as 0o700; those that it lies in have the usual ones.

    Raises:
        OSError: it cannot be made; where a file is in its way the reason names that.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise _blocked(folder) or error from error


def check_folder(folder: Path, place: str) -> None:
    """Raise OutputError unless there is a folder for what is to be written at a place, such as "-o farm.onnx"."""
    if folder.is_dir():
        return
    if (blocked := _blocked(folder)) is not None:
        raise OutputError(f"{place}: {blocked.strerror}; choose another place")
    raise OutputError(f"{place}: the folder {folder} does not exist; make it first")


def _blocked(folder: Path) -> OSError | None:
    """Return the error for a folder that cannot be, as it or one that it lies in is something else."""
    file = next((place for place in (folder, *folder.parents) if os.path.lexists(place) and not place.is_dir()), None)
    return None if file is None else NotADirectoryError(errno.ENOTDIR, f"{file} is no folder")


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False, mode: int | None = None) -> Iterator[Path]:
    """Yield the path of an empty file beside `path`; what is written there replaces `path` if the block succeeds.

    Args:
        path: the file to write, in a folder that exists.
        durable: flush it to the disk first, and its name after, which on an SD card takes tens of milliseconds.
        mode: permissions from the first byte on, such as 0o600; None for those of any new file.

    Raises:
        OSError: the folder or the disk does not take the file.
    """
    # the same suffix, by which a file's format is told
    temporary = path.with_name(f"{PART}{secrets.token_hex(6)}{path.suffix}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o600)
    except NotADirectoryError as error:
        raise _blocked(path.parent) or error from error
    try:
        if mode is not None:
            # Windows changes no file by its handle
            os.chmod(handle if os.chmod in os.supports_fd else temporary, mode)
    finally:
        os.close(handle)
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            flush_names(path.parent)
    finally:
        # where the disk fails altogether, its first error is the one to tell
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def flush_names(folder: Path) -> None:
    """Flush a folder's list of names to the disk: a file that was renamed before is not forgotten by a power cut.

    Raises:
        OSError: the disk does not take it.
    """
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing_output(
    path: Path, advice: str = "free some space or choose another place", *, durable: bool = False
) -> Iterator[Path]:
    """Do as `replacing`, and say what the user can do where it fails.

    Raises:
        OutputError: the folder or the disk does not take the file.
    """
    try:
        with replacing(path, durable=durable) as temporary:
            yield temporary
    except EdgevitError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; {advice}") from error
