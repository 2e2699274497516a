"""The private keys of a site: files in a folder of their own, which nobody uploads."""

import logging
import os
import shlex
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Role

from edgevit.artifact.files import read_regular
from edgevit.errors import SiteError
from edgevit.fleet.writing import told, write_file
from edgevit.system.files import PART, make_folders

log = logging.getLogger(__name__)

FIRST_ROOT = "1.root.json"
"""What boards are enrolled with; the keys' folder holds it too, since the site's own copy could have been changed."""
REPLACED = "replaced"
"""Folder of keys that are no longer in use."""
_LARGEST = 1 << 16


class Keys:
    """The keys in one or more folders; new ones are written to the first."""

    def __init__(self, site: Path, folders: Sequence[Path] = ()) -> None:
        """Look for the keys of `site`, in the folder beside it if none is given.

        Raises:
            SiteError: a folder lies inside of the site, where it would be uploaded, or around it.
        """
        self.folders = tuple(folders) or (default_folder(site),)
        inside = site.resolve()
        for folder in self.folders:
            place = folder.resolve()
            if place.is_relative_to(inside) or inside.is_relative_to(place):
                raise SiteError(
                    f"the keys in {folder} and the site {site} lie in each other, and private keys would be uploaded "
                    "with it; choose another folder with --keys"
                )

    @property
    def first_root(self) -> Path:
        """The file that says whose site this is."""
        places = [folder / FIRST_ROOT for folder in self.folders]
        return next((place for place in places if place.is_file()), places[0])

    @cached_property
    def _known(self) -> dict[str, CryptoSigner]:
        """Key identifier to signer, for all files that are there."""
        found = {}
        for folder in self.folders:
            for path in _files(folder):
                signer = _read_key(path)
                found[signer.public_key.keyid] = signer
        return found

    def available(self, role: Role) -> list[CryptoSigner]:
        """Return those of a role's keys that are here, of however many it needs."""
        return [self._known[keyid] for keyid in role.keyids if keyid in self._known]

    def signers(self, role: Role, name: str) -> list[CryptoSigner]:
        """Return the keys of a role.

        Raises:
            SiteError: fewer are here than its signature needs.
        """
        found = self.available(role)
        if len(found) < role.threshold:
            short = ", ".join(keyid[:8] for keyid in role.keyids if keyid not in self._known)
            where = " or ".join(map(str, self.folders))
            raise SiteError(
                f"{len(found)} of the {role.threshold} keys that sign {name} are in {where} (not there: {short}); "
                "copy them back from where you keep them, or name their folder with --keys"
            )
        return found

    def make(self, name: str) -> CryptoSigner:
        """Make a key and write it to the first folder, for its owner alone.

        Raises:
            OutputError: the disk does not take it.
        """
        signer = CryptoSigner.generate_ed25519()
        folder = self.folders[0]
        with told(folder):
            make_folders(folder, mode=0o700)
        write_file(folder / f"{name}.{signer.public_key.keyid[:8]}.pem", signer.private_bytes, mode=0o600)
        self._known[signer.public_key.keyid] = signer
        return signer

    def retire(self, names: Collection[str], used: Collection[str]) -> None:
        """Move the keys of these roles that are no longer used out of the way.

        Raises:
            OutputError: the disk does not take it.
        """
        for path in (path for folder in self.folders for path in _files(folder)):
            if path.name.split(".")[0] in names and _read_key(path).public_key.keyid not in used:
                kept = path.parent / REPLACED
                with told(kept):
                    make_folders(kept, mode=0o700)
                    path.replace(kept / path.name)


def default_folder(site: Path) -> Path:
    """Return the folder beside a site that holds its keys."""
    place = site if site.name else site.resolve()
    return place.with_name(f"{place.name}-keys")


def _files(folder: Path) -> list[Path]:
    """Return a folder's keys, without what a cut has left under a temporary name."""
    return sorted(path for path in folder.glob("*.pem") if not path.name.startswith(PART))


def _read_key(path: Path) -> CryptoSigner:
    """Read an ed25519 key, the only kind that boards check without further packages."""
    try:
        content = read_regular(path, _LARGEST)
        if os.name == "posix" and path.stat().st_mode & 0o077:
            log.warning("%s can be read by others on this machine; run: chmod 600 %s", path, shlex.quote(str(path)))
        key = load_pem_private_key(content, None)
    except OSError as error:
        raise SiteError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SiteError(f"{path} is no private key, or needs a password; copy it back from your backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SiteError(f"{path} is a key of another kind, expected ed25519; move it elsewhere")
    return CryptoSigner(key)
