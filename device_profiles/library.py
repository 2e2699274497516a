"""Profiles by name, by alias, by path, or from the user's configuration directory."""

import functools
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgevit.artifact.files import read_regular
from edgevit.device_profiles.profile import Profile
from edgevit.errors import ProfileError, UnknownNameError
from edgevit.schema import FieldError, read_value
from edgevit.text import decode_text

SHIPPED = Path(__file__).parent

GENERIC = "generic"
"""The target of a file that is to run anywhere; it has no profile."""


def find_profile(name: str | os.PathLike[str]) -> Profile:
    """Return the profile of this name, alias or path.

    A file in the configuration directory goes before a shipped profile of the same name.

    Args:
        name: "rpi4", an alias such as "pi4" (case, spaces, dots, dashes and underscores do not matter), or the path
            of a TOML file: anything that ends in ".toml" or holds a "/".

    Raises:
        UnknownNameError: there is no such profile; the message has the nearest name.
        ProfileError: the file is missing, no TOML, or a key is missing, unknown or wrong.
    """
    text = os.fspath(name)
    if text.endswith(".toml") or Path(text).name != text:
        return read_profile(Path(text).expanduser())
    profiles = all_profiles()
    for profile in profiles:
        if _plain(text) in map(_plain, (profile.name, *profile.aliases)):
            return profile
    raise UnknownNameError("device profile", text, [profile.name for profile in profiles])


def list_profiles() -> list[str]:
    """Return the names of all profiles, the user's own among them."""
    return sorted(profile.name for profile in all_profiles())


def all_profiles() -> list[Profile]:
    """Return every profile, the user's own first; one of them hides a shipped one of the same name."""
    own = _own()
    names = {profile.name for profile in own}
    return own + [profile for profile in _shipped() if profile.name not in names]


def likely_profiles(board: str, names: Collection[str]) -> list[Profile]:
    """Return the profiles that may fit a board: the user's own, and those shipped that its name or `names` speak for.

    Reading all that are shipped takes a small board as long as several answers of a small model.

    Args:
        board: its name, as its device tree has it.
        names: profiles that may fit whatever the board's name is.
    """
    own = _own()
    hidden = {profile.name for profile in own}
    paths = [path for path in _shipped_paths() if path.stem in names or _speaks_of(path, board)]
    shipped = [read_profile(path) for path in paths]
    return own + [profile for profile in shipped if profile.name not in hidden]


def user_folder() -> Path:
    """Return where the user's own profiles lie."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "edgevit" / "profiles"


def read_profile(path: Path) -> Profile:
    """Read and check one file; see docs/device-profiles.md.

    Raises:
        ProfileError: the file is missing, no TOML, or a key is missing, unknown or wrong.
    """
    try:
        document = tomllib.loads(decode_text(read_regular(path)))
    except OSError as error:
        raise ProfileError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a device profile"
        ) from error
    except ValueError as error:
        raise ProfileError(f"{path} is not TOML: {error}; see docs/device-profiles.md") from error
    try:
        profile = read_value(Profile, document, "profile")
    except FieldError as error:
        raise ProfileError(f"{path}: {str(error).removeprefix('profile.')}") from error
    assert isinstance(profile, Profile)
    for key, known in _unknown_keys(document, asdict(profile), ""):
        raise ProfileError(f"{path}: {key} is no key of a device profile, expected one of {', '.join(known)}")
    return profile


def _own() -> list[Profile]:
    return [read_profile(path) for path in sorted(user_folder().glob("*.toml"))]


def _shipped_paths() -> list[Path]:
    return sorted(SHIPPED.glob("*.toml"))


@functools.cache
def _shipped() -> tuple[Profile, ...]:
    return tuple(map(read_profile, _shipped_paths()))


def _speaks_of(path: Path, board: str) -> bool:
    """Tell whether any text in a profile is a beginning of a board's name, as one of its `device_tree` must be."""
    return any(board.startswith(text) for text in re.findall(r'"([^"\n]+)"', path.read_text(encoding="utf-8")))


def _unknown_keys(found: Any, known: Any, where: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each key of a document that the checked value lacks, with the keys that it has instead."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            if key not in known:
                yield f"{where}{key}", list(known)
            else:
                yield from _unknown_keys(value, known[key], f"{where}{key}.")
    elif isinstance(found, list):
        for index, (value, of) in enumerate(zip(found, known, strict=True)):
            yield from _unknown_keys(value, of, f"{where.removesuffix('.')}[{index}].")


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character not in " ._-")
