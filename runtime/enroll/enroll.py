"""Enrolling a board: what it is told once, so that it follows a site from then on."""

import contextlib
import os
import shlex
import shutil
import stat
from pathlib import Path

from edgevit.artifact.files import read_regular
from edgevit.errors import OptionError, OutputError, UpdateError
from edgevit.runtime.enroll.settings import enrollment_path
from edgevit.runtime.enroll.timer import update_units
from edgevit.runtime.service.place import readable_folders, unit_folder, write_unit
from edgevit.runtime.update.board import FOLDER
from edgevit.runtime.update.enrollment import (
    Enrollment,
    check_site,
    new_board,
    read_enrollment,
    write_enrollment,
)
from edgevit.runtime.update.floor import read_floor
from edgevit.runtime.update.site import check_root
from edgevit.system.files import make_folders

LARGEST_ROOT = 512_000
"""Bytes of a 1.root.json, at most."""


def enroll(
    site: str,
    *,
    root: Path,
    target: str,
    into: Path,
    service: str = "edgevit",
    user: bool = False,
    every_s: float = 3600.0,
    force: bool = False,
) -> tuple[Path, ...]:
    """Have a board follow a target of a site, and write the timer that checks; nothing is fetched or started.

    Args:
        site: its address, or a folder of this machine.
        root: the site's first root, from the hand of its owner.
        target: what to follow, such as "stable/farm.onnx".
        into: the folder of the model; it is made.
        service: the unit that runs the model.
        user: it belongs to the user's own service manager.
        every_s: time between two checks in seconds.
        force: replace what the board was told before.

    Returns:
        The files that were written or are as they should be.

    Raises:
        OptionError: a value is not what it must be, the board follows something else already, or the folder is that
            of another service, or open to everybody.
        UpdateError: the root is none.
        OutputError: a file cannot be written.
    """
    text = _read_root(root)
    path = enrollment_path(service, user)
    old = _known(path, force)
    folder = Path(os.path.abspath(into))
    board = new_board() if old is None else old.board
    new = Enrollment(check_site(site), target, folder, service, user, board, text)
    if old not in (None, new) and not force:
        raise OptionError(
            f"this board follows {old.target} of {old.site} into {old.into} already; give --force to replace that, or "
            "another --service"
        )
    # before anything is made: a folder's name may be none for a unit
    units = {unit_folder(user) / name: unit for name, unit in update_units(new, every_s).items()}
    try:
        make_folders(folder)
        _check_closed(folder)
        if not user:
            readable_folders([folder])
        _claim(folder, service, force)
        if force:
            _forget(folder / FOLDER, same_site=old is not None and old.root == text)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}; choose another --into") from error
    write_enrollment(path, new)
    for place, unit in units.items():
        write_unit(place, unit, force=force or old is not None)
    return (path, *units)


def _check_closed(folder: Path) -> None:
    """Raise OptionError if everybody may write to the folder, or put another in its place."""
    # where a link lies counts as much as where it leads to
    for each in dict.fromkeys((folder, *folder.parents, *folder.resolve().parents)):
        mode = each.stat().st_mode
        # in one like /tmp nobody moves what is another's
        if mode & stat.S_IWOTH and (each == folder or not mode & stat.S_ISVTX):
            raise OptionError(
                f"{each} can be written by everybody on this machine, who could exchange a model after it was checked; "
                f"run: chmod o-w {shlex.quote(str(each))}"
            )


def _claim(folder: Path, service: str, force: bool) -> None:
    """Note whose folder this is: two services take part in different shares, and would swap the file to and fro."""
    mark = folder / FOLDER / "service"
    owner = mark.read_text("utf-8", "replace").strip() if mark.exists() else service
    if owner != service and not force:
        raise OptionError(
            f"{folder} is kept by updates of the service {owner}; give each service a folder of its own, or --force to "
            "take this one"
        )
    make_folders(mark.parent, mode=0o700)
    mark.write_text(f"{service}\n", "utf-8")


def _read_root(path: Path) -> str:
    try:
        text = read_regular(path, LARGEST_ROOT).decode()
        check_root(text)
    except OSError as error:
        raise OptionError(f"--root {path} cannot be read: {error.strerror or error}; copy it from your site") from error
    except UnicodeDecodeError as error:
        raise UpdateError(f"--root {path} is no text, expected a site's 1.root.json; copy it from your site") from error
    except (UpdateError, ValueError) as error:
        raise UpdateError(f"--root {path}: {error}") from error
    return text


def _known(path: Path, force: bool) -> Enrollment | None:
    if not path.exists():
        return None
    try:
        return read_enrollment(path)
    except OptionError:
        if force:
            return None
        raise


def _forget(folder: Path, *, same_site: bool) -> None:
    """Forget what was seen, if it was seen of another site or cannot be read."""
    with contextlib.suppress(UpdateError):
        read_floor(folder / "floor.json")
        if same_site:
            return
    shutil.rmtree(folder / "metadata", ignore_errors=True)
    (folder / "floor.json").unlink(missing_ok=True)
