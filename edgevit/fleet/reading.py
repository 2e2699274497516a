"""Reading the signed documents of a site, each checked by the one that names its keys."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, T, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edgevit.artifact.files import read_regular
from edgevit.errors import SiteError

LARGEST = 5_000_000
"""Bytes of a document that are read at most, here and on the boards."""


def read_roots(folder: Path, first: Path) -> list[Metadata[Root]]:
    """Return all root documents in a site's `metadata` folder, each signed by the one before, from `first` on.

    Raises:
        SiteError: one is damaged, or not signed as it must be.
    """
    if not first.is_file():
        raise SiteError(
            f"{first} is missing: it says whose site this is, as the boards were told; copy it back from your backup "
            "of the keys, or from a board"
        )
    roots: list[Metadata[Root]] = []
    while (path := folder / f"{len(roots) + 1}.root.json" if roots else first).is_file():
        root = _read(path, Root, len(roots) + 1)
        with _checking(path):
            for trusted in (*roots[-1:], root):
                trusted.signed.verify_delegate("root", root.signed_bytes, root.signatures)
        roots.append(root)
    return roots


def read_first_root(path: Path) -> bytes:
    """Return a root document as it stands in a file, if it is one that signs itself.

    Raises:
        SiteError: it is another file, or damaged.
    """
    root = _read(path, Root, None)
    with _checking(path):
        root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    return path.read_bytes()


def read_document(folder: Path, name: str, kind: type[T], by: Root | Targets, meta: MetaFile | None) -> Metadata[T]:
    """Return a document that `by` names the keys of and, but for the timestamp, `meta` the version and digest.

    Raises:
        SiteError: it is missing, damaged, or not signed as it must be.
    """
    path = folder / (f"{name}.json" if meta is None else f"{meta.version}.{name}.json")
    document = _read(path, kind, None if meta is None else meta.version)
    with _checking(path):
        if meta is not None:
            meta.verify_length_and_hashes(path.read_bytes())
        by.verify_delegate(name, document.signed_bytes, document.signatures)
    return document


def read_site(folder: Path, root: Root) -> tuple[Timestamp, Snapshot, Metadata[Targets], dict[str, Metadata[Targets]]]:
    """Return what a site says now: its two listings, what its channels are, and each channel."""
    timestamp = read_document(folder, "timestamp", Timestamp, root, None).signed
    snapshot = read_document(folder, "snapshot", Snapshot, root, timestamp.snapshot_meta).signed
    targets = read_document(folder, "targets", Targets, root, snapshot.meta.get("targets.json"))
    delegations = targets.signed.delegations
    names = list(delegations.roles or ()) if delegations else []
    channels = {
        name: read_document(folder, name, Targets, targets.signed, snapshot.meta.get(f"{name}.json")) for name in names
    }
    return timestamp, snapshot, targets, channels


def _read(path: Path, kind: type[T], version: int | None) -> Metadata[T]:
    try:
        document: Metadata[T] = Metadata.from_bytes(read_regular(path, LARGEST))
    except OSError as error:
        raise SiteError(f"{path} cannot be read: {error.strerror or error}; {_REMEDY}") from error
    except DeserializationError as error:
        raise SiteError(f"{path} is damaged; {_REMEDY}") from error
    if not isinstance(document.signed, kind) or version not in (None, document.signed.version):
        raise SiteError(f"{path} holds another document than its name says; {_REMEDY}")
    return document


_REMEDY = "copy the site back from the server that hands it out"


@contextlib.contextmanager
def _checking(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnsignedMetadataError, LengthOrHashMismatchError, ValueError) as error:
        raise SiteError(f"{path} was changed, or is not signed by this site's keys; {_REMEDY}") from error
