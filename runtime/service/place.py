"""Where a unit file lives, what its service can read, and writing it whole or not at all."""

import os
import re
import shlex
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgevit.errors import OptionError, OutputError
from edgevit.system.files import make_folders, replacing

HIDDEN = ("/home", "/root", "/run/user")
"""Where ProtectHome=tmpfs lets a service see only what is bound."""
SYSTEM = Path("/etc/systemd/system")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)


def check_name(name: str, option: str = "--name") -> str:
    """Return the name of a service, of which units, folders and a user are called; OptionError if it is none."""
    if not _NAME.fullmatch(name) or len(name) > 31:
        raise OptionError(
            f"{option} is {name[:60]!r}, expected small letters, digits and hyphens such as edgevit-yard, 31 at most"
        )
    return name


def unit_folder(user: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the service manager looks for units that a person wrote."""
    if not user:
        return SYSTEM
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "systemd" / "user"


def secrets_folder(name: str, user: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the secrets of a service of this name lie."""
    if not user:
        return Path("/etc/edgevit") / name
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "edgevit" / name


def needed_folders() -> tuple[Path, ...]:
    """Return where this Python and this package are."""
    package = Path(__file__).resolve().parents[2]
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent, package]
    return tuple(dict.fromkeys(found))


def readable_folders(folders: Iterable[Path]) -> tuple[str, ...]:
    """Return those of the folders that a system service sees only if they are bound; none within another.

    Raises:
        OptionError: its own user could not read one, or it is a whole home.
    """
    found: list[str] = []
    for folder in sorted(set(folders)):
        _check_open(folder)
        hidden = any(folder.is_relative_to(place) for place in HIDDEN)
        if hidden and not any(folder.is_relative_to(other) for other in found):
            found.append(str(folder))
    return tuple(found)


def _check_open(folder: Path) -> None:
    if ":" in str(folder):
        raise OptionError(f"{folder} holds a colon, which a unit file cannot pass on; rename it, or use --user")
    for place in ("/tmp", "/var/tmp"):
        if folder.is_relative_to(place):
            raise OptionError(
                f"{folder} lies in {place}, of which a service has its own, empty one; move it, or use --user"
            )
    if str(folder) in HIDDEN or (folder.parent == Path("/home")):
        raise OptionError(f"{folder} is a whole home; put the model into a folder of its own, or use --user")
    hidden = [place for place in HIDDEN if folder.is_relative_to(place)]
    # a bound folder is reached without those above it
    checked = [folder] if hidden else [folder, *folder.parents]
    for each in checked:
        if each.exists() and not each.stat().st_mode & stat.S_IXOTH:
            chmod = f"chmod o+rx {shlex.quote(str(each))}"
            raise OptionError(
                f"{each} is closed to the service's own user; run: {chmod}, move what it needs, or use --user"
            )


def check_readable(path: Path) -> None:
    """Raise OptionError if a file is not open to a service's own user."""
    if not path.stat().st_mode & stat.S_IROTH:
        chmod = f"chmod o+r {shlex.quote(str(path))}"
        raise OptionError(f"{path} cannot be read by the service's own user; run: {chmod}, or use --user")


def write_unit(path: Path, text: str, *, force: bool = False) -> bool:
    """Write a unit file whole or not at all; return False if it is there already and says the same.

    Raises:
        OptionError: another one is there, and force is not given.
        OutputError: it cannot be written.
    """
    try:
        if path.exists() and path.read_text("utf-8", "replace") == text:
            return False
        if path.exists() and not force:
            raise OptionError(f"{path} exists and says something else; give --force to replace it, or another --name")
        make_folders(path.parent)
        with replacing(path, durable=True, mode=0o644) as temporary:
            temporary.write_text(text, "utf-8")
    except OptionError:
        raise
    except OSError as error:
        hint = "; run it with sudo, or use --user" if isinstance(error, PermissionError) else ""
        raise OutputError(f"{path} cannot be written: {error.strerror or error}{hint}") from error
    return True
