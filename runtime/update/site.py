"""Asking a site what is new: every answer is checked by The Update Framework, and against what was seen before.

https://theupdateframework.io: the keys, the channels and the versions are its; a board's users never meet its words.
"""

import datetime
from pathlib import Path

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import Updater

from edgevit.errors import UpdateError
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.fetch import SiteFetcher
from edgevit.runtime.update.floor import Floor
from edgevit.runtime.update.offer import Edition, Offer, read_offer
from edgevit.system.files import make_folders


def ask_site(
    enrollment: Enrollment, address: str, fetcher: SiteFetcher, store: Path, floor: Floor, now_s: float
) -> tuple[Offer, Floor]:
    """Return what a site offers, and the floor that its documents give.

    Args:
        enrollment: whose keys are trusted, and what is followed.
        address: of the site.
        fetcher: gets its documents.
        store: the folder of those that were seen.
        floor: what was seen.
        now_s: this machine's clock, as Unix time.

    Raises:
        UpdateError: the site cannot be reached, is not the one that is trusted, is old, or has expired.
    """
    time_s = floor.time_s(now_s)
    make_folders(store, mode=0o700)
    try:
        updater = Updater(
            str(store), f"{address}/metadata/", fetcher=fetcher, bootstrap=enrollment.root.encode("utf-8", "replace")
        )
        # tuf has no public way to say what time it is, nor to ask what it trusts: see test_private_names.py
        trusted = updater._trusted_set
        trusted.reference_time = datetime.datetime.fromtimestamp(time_s, datetime.UTC)
        # refreshes the site's own documents first
        found = updater.get_targetinfo(enrollment.target)
    except (exceptions.RepositoryError, exceptions.DownloadError) as error:
        raise UpdateError(explain(error, address, now_s, floor.seen_s)) from error
    except OSError as error:
        raise UpdateError(
            f"{store} cannot be written: {error.strerror or error}; it needs a little space, and a disk with links "
            "such as ext4 has"
        ) from error
    roles = trusted.root.roles
    listed = {name.removesuffix(".json"): meta.version for name, meta in trusted.snapshot.meta.items()}
    new = Floor(
        time_s,
        trusted.root.version,
        {"timestamp": trusted.timestamp.version, "snapshot": trusted.snapshot.version, **listed},
        {name: tuple(sorted(roles[name].keyids)) for name in ("timestamp", "snapshot")},
    )
    raised = floor.raised(new)
    if found is None:
        raise UpdateError(f"the site has no {enrollment.target}; publish it there, or enrol for another")
    return read_offer(enrollment.target, found.hashes.get("sha256"), found.length, found.custom), raised


def fetch_model(enrollment: Enrollment, address: str, fetcher: SiteFetcher, edition: Edition, path: Path) -> None:
    """Fetch a model into `path`, going on from what is there, and check its length and digest.

    Raises:
        UpdateError: it cannot be had, or is not what was signed; then nothing is left.
    """
    target = TargetFile(edition.length, {"sha256": edition.sha256}, enrollment.target)
    url = f"{address}/targets/{enrollment.channel}/{edition.sha256}.{enrollment.model.name}"
    begun = path.exists()
    try:
        fetcher.resume(url, path, edition.length)
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except (exceptions.LengthOrHashMismatchError, exceptions.DownloadLengthMismatchError) as error:
        path.unlink(missing_ok=True)
        if begun:  # what an earlier check has left may have been damaged by a power cut
            return fetch_model(enrollment, address, fetcher, edition, path)
        raise UpdateError(f"{url} is not what was signed; upload the site anew") from error
    except exceptions.DownloadError as error:
        raise UpdateError(explain(error, address, 0.0)) from error
    except OSError as error:
        raise UpdateError(f"{path} cannot be written: {error.strerror or error}; free some space") from error


def check_root(text: str) -> None:
    """Raise UpdateError unless a text is a document of keys that signs itself."""
    try:
        root = Metadata[Root].from_bytes(text.encode("utf-8", "replace"))
        if not isinstance(root.signed, Root):
            raise exceptions.RepositoryError("it is another document")
        root.verify_delegate(Root.type, root)
    except (exceptions.RepositoryError, ValueError) as error:
        raise UpdateError(f"it is no 1.root.json of a site ({error}); copy it from the site's folder") from error


def explain(error: Exception, address: str, now_s: float, seen_s: float = 0.0) -> str:
    """Return what went wrong and what to do, in words of a farm; `seen_s` is the latest time that counts instead."""
    if isinstance(error, exceptions.ExpiredMetadataError):
        today, seen = (datetime.datetime.fromtimestamp(each_s, datetime.UTC).date() for each_s in (now_s, seen_s))
        later = f", and {seen} was seen before" if seen > today else ""
        return (
            f"the site's signatures have expired ({error}; today is {today} here{later}); run `edgevit fleet renew` "
            "where its keys are. The model that is here goes on"
        )
    if isinstance(error, exceptions.BadVersionNumberError):
        return f"the site is older than what this board has seen, or mixed with old files ({error}); upload it anew"
    if isinstance(error, exceptions.UnsignedMetadataError):
        return f"the site is not signed with the keys that this board trusts ({error}); is {address} your site?"
    if isinstance(error, exceptions.DownloadHTTPError):
        if error.status_code in (403, 404):
            return f"{error}: there is no such file, or the upload is not complete"
        return f"{error}, expected 404 for what is missing; `edgevit fleet check` tells whether a web server suits"
    if isinstance(error, exceptions.DownloadLengthMismatchError | exceptions.LengthOrHashMismatchError):
        return f"a document of the site is not what was signed ({error}); upload the site anew"
    if isinstance(error, exceptions.DownloadError):
        return str(error)
    return f"{address} does not answer as a site does: {error}"
