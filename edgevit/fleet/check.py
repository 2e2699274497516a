"""Looking at a site as a board that has never seen it would: can all of it be fetched, and is it what was signed?"""

import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Signed, TargetFile, Targets
from tuf.ngclient import Updater

from edgevit.errors import UpdateError
from edgevit.fleet.hosts import Finding, Host
from edgevit.fleet.keys import FIRST_ROOT
from edgevit.fleet.names import TOP
from edgevit.fleet.rollout import Rollout
from edgevit.runtime.update.fetch import Bounds, SiteFetcher
from edgevit.runtime.update.offer import Edition, check_length
from edgevit.runtime.update.site import explain

SOON = timedelta(days=7)
"""Time before an expiry from which on it is a warning."""
ROOT_SOON = timedelta(days=365)
"""The same for the root document, which has no renewal by the clock."""


def check_site(host: Host, first_root: bytes | None, now: datetime) -> Iterator[Finding]:
    """Fetch all that boards can be given, into a temporary folder, and yield what is found on the way.

    Args:
        host: what has the site.
        first_root: what boards are enrolled with; None takes the site's own word for it.
        now: the time, for what expires soon.
    """
    for finding in host.manners():
        yield finding
        if finding.level == "failed":
            return
    if first_root is None:
        try:
            first_root = SiteFetcher(Bounds()).download_bytes(f"{host.address}/metadata/{FIRST_ROOT}", 1 << 20)
        except DownloadError as error:
            yield Finding("failed", f"no site is at {host.address}: {explain(error, host.address, now.timestamp())}")
            return
        yield Finding("warning", f"whose site it is was not checked; give --root KEYS/{FIRST_ROOT}")
    with tempfile.TemporaryDirectory(prefix="edgevit-check-") as home:
        yield from _Look(host, first_root, Path(home), now).findings()


class _Look:
    """A board's first look."""

    def __init__(self, host: Host, first_root: bytes, home: Path, now: datetime) -> None:
        self._host, self._root, self._home, self._now = host, first_root, home, now
        self._bounds = Bounds()
        self._fetcher = SiteFetcher(self._bounds)
        self._resumed = False

    def findings(self) -> Iterator[Finding]:
        """Do what a board does, and more of it."""
        address = self._host.address
        try:
            self._updater = Updater(str(self._home), f"{address}/metadata", fetcher=self._fetcher, bootstrap=self._root)
            self._updater.refresh()
        except (DownloadError, RepositoryError) as error:
            yield Finding("failed", f"boards would say: {self._explained(error)}")
            return
        yield Finding("ok", "the signatures are those of one owner, and the versions fit together")
        for name in TOP:
            yield self._expiry(name)
        targets = self._document("targets")
        assert isinstance(targets, Targets)
        for name in (targets.delegations and targets.delegations.roles) or ():
            yield from self._channel(name)

    def _channel(self, name: str) -> Iterator[Finding]:
        try:
            self._updater.get_targetinfo(f"{name}/")
        except (DownloadError, RepositoryError) as error:
            yield Finding("failed", f"boards that follow {name} would say: {self._explained(error)}")
            return
        yield self._expiry(name)
        channel = self._document(name)
        assert isinstance(channel, Targets)
        for target in channel.targets.values():
            try:
                rollout = Rollout.from_target(target)
            except UpdateError as error:
                yield Finding("failed", str(error))
                continue
            yield self._model(rollout.path, rollout.edition)
            if rollout.before is not None:
                yield self._model(rollout.path, rollout.before)
            if not self._resumed:
                self._resumed = True
                yield from self._host.resumes(f"targets/{target.get_prefixed_paths()[0]}", target.length)

    def _model(self, path: str, edition: Edition) -> Finding:
        what = f"{path} version {edition.version}"
        target = TargetFile(edition.length, {"sha256": edition.sha256}, path)
        file = self._home / "model"
        file.unlink(missing_ok=True)
        try:
            check_length(edition.length, self._bounds.largest)
            self._fetcher.resume(f"{self._host.address}/targets/{target.get_prefixed_paths()[0]}", file, edition.length)
            with file.open("rb") as content:
                target.verify_length_and_hashes(content)
        except UpdateError as error:
            return Finding("failed", f"{what}: {error}")
        except (DownloadError, RepositoryError) as error:
            return Finding("failed", f"{what}: {self._explained(error)}")
        return Finding("ok", f"{what}: {edition.length} bytes, as they were signed")

    def _document(self, name: str) -> Signed:
        document: Metadata[Targets] = Metadata.from_bytes((self._home / f"{name}.json").read_bytes())
        return document.signed

    def _expiry(self, name: str) -> Finding:
        expires = self._document(name).expires
        if expires - self._now > (ROOT_SOON if name == "root" else SOON):
            return Finding("ok", f"{name} is accepted until {expires:%Y-%m-%d}")
        remedy = "rotate" if name == "root" else "renew"
        return Finding("warning", f"{name} expires on {expires:%Y-%m-%d}; run `edgevit fleet {remedy}`, and upload")

    def _explained(self, error: Exception) -> str:
        """Return what a board would say, and so what its owner would read in the fleet's list."""
        return explain(error, self._host.address, self._now.timestamp())
