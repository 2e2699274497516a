"""A site: what its signed documents say, and writing new ones in an order that a cut cannot harm."""

import contextlib
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from edgevit.errors import SiteError
from edgevit.fleet.keys import Keys
from edgevit.fleet.reading import read_roots, read_site
from edgevit.fleet.rollout import Rollout
from edgevit.fleet.writing import locked, write_file
from edgevit.runtime.update.floor import BUILT_S
from edgevit.schema import is_whole

DAYS = 30
"""Days until a site that nobody renews is refused by the boards."""
ROOT_DAYS = 3650
"""Days until a root document expires: it has no renewal by the clock, since its keys lie in a drawer."""

Write = tuple[Path, bytes]


@dataclass
class Site:
    """A site in memory; `write` makes it what the boards see."""

    folder: Path
    keys: Keys
    now: datetime
    root: Metadata[Root]
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Metadata[Targets]
    channels: dict[str, Metadata[Targets]] = field(default_factory=dict)

    @property
    def metadata(self) -> Path:
        """The folder of the signed documents."""
        return self.folder / "metadata"

    @property
    def delegations(self) -> Delegations:
        """What the channels' keys are."""
        delegations = self.targets.signed.delegations
        assert delegations is not None  # made so by `new_site`, and read_site's signature says it is
        return delegations

    def channel(self, name: str) -> Targets:
        """Return a channel that exists.

        Raises:
            SiteError: it does not.
        """
        if name not in self.channels:
            known = (
                f"choose one of: {', '.join(sorted(self.channels))}" if self.channels else "nothing was published yet"
            )
            raise SiteError(f"{self.folder} has no channel {name!r}; {known}")
        return self.channels[name].signed

    def rollout(self, channel: str, name: str) -> Rollout:
        """Return what a channel gives the boards under a name.

        Raises:
            SiteError: there is no such channel, or no such model in it.
        """
        targets = self.channel(channel).targets
        target = targets.get(f"{channel}/{name}")
        if target is None:
            known = ", ".join(sorted(path.partition("/")[2] for path in targets)) or "none"
            raise SiteError(f"{channel} has no model {name!r}; it has: {known}")
        return Rollout.from_target(target)

    def put(self, rollout: Rollout) -> None:
        """Replace what a channel gives under the rollout's path; a channel that is new gets a key.

        Raises:
            SiteError: the channel is new, and the key that says what the channels are is not here.
        """
        name = rollout.path.partition("/")[0]
        if name not in self.channels:
            # before there is a key for nothing
            for top, what in (
                ("targets", "the list of channels"),
                ("snapshot", "snapshot"),
                ("timestamp", "timestamp"),
            ):
                self.keys.signers(self.root.signed.roles[top], what)
            key = self.keys.make(f"channel-{name}").public_key
            roles = self.delegations.roles
            assert roles is not None
            roles[name] = DelegatedRole(name, [], 1, terminating=True, paths=[f"{name}/*"])
            self.targets.signed.add_key(key, name)
            self.channels[name] = Metadata(Targets())
        self.channels[name].signed.targets[rollout.path] = rollout.to_target()

    def target_file(self, path: str, sha256: str) -> Path:
        """Return where the bytes of a rollout lie."""
        channel, _, name = path.partition("/")
        return self.folder / "targets" / channel / f"{sha256}.{name}"

    def signed(
        self,
        changed: Collection[str],
        expires: datetime | None = None,
        also: Mapping[str, Sequence[Signer]] | None = None,
    ) -> list[Write]:
        """Sign channels and the list of channels ("targets"), and what names their versions; return what to write.

        Args:
            changed: names of the channels to sign, and "targets".
            expires: until when boards accept it; by default DAYS from now, or longer if it was longer.
            also: top-level name to the keys that sign instead of the role's, while keys are replaced.

        Raises:
            SiteError: a key is missing; nothing was changed on the disk.
        """
        signers = dict(also or {})
        for name, role in self.root.signed.roles.items():
            if name != "root" and name not in signers and (name != "targets" or name in changed):
                signers[name] = self.keys.signers(role, name)
        plan = []
        for name in sorted(changed, key=lambda name: (name == "targets", name)):
            by = signers[name] if name == "targets" else self._channel_signers(name)
            document = self.targets if name == "targets" else self.channels[name]
            plan.append(self._sign(document, name, by, expires))
            self.snapshot.meta[f"{name}.json"] = _described(document, plan[-1])
        snapshot = Metadata(self.snapshot)
        plan.append(self._sign(snapshot, "snapshot", signers["snapshot"], expires))
        self.timestamp.snapshot_meta = _described(snapshot, plan[-1])
        plan.append(self._sign(Metadata(self.timestamp), "timestamp", signers["timestamp"], expires))
        return plan

    def _channel_signers(self, name: str) -> list[Signer]:
        assert self.delegations.roles is not None
        return [*self.keys.signers(self.delegations.roles[name], f"the channel {name}")]

    def _sign(self, document: Metadata[Any], name: str, by: Sequence[Signer], expires: datetime | None) -> Write:
        signed = document.signed
        if name == "timestamp":
            # the only file that is replaced
            path = self.metadata / "timestamp.json"
            signed.version = signed.version + 1 if path.exists() else 1
        else:
            # past what a cut has left: no name is ever used for two contents
            signed.version = max(document_versions(self.metadata, name), default=0) + 1
            path = self.metadata / f"{signed.version}.{name}.json"
        signed.expires = expires or max(signed.expires, self.now + timedelta(days=DAYS))
        return path, sign(document, by)


def sign(document: Metadata[Any], by: Iterable[Signer]) -> bytes:
    """Return a document with these signatures and no others."""
    document.signatures.clear()
    for signer in by:
        document.sign(signer, append=True)
    return document.to_bytes()


def write(plan: Iterable[Write]) -> None:
    """Write files one after another, each whole.

    Raises:
        OutputError: the disk does not take one; those before it change nothing for the boards, but for the last.
    """
    for path, content in plan:
        write_file(path, content)


@contextlib.contextmanager
def open_site(folder: Path, keys: Sequence[Path] = (), now: datetime | None = None) -> Iterator[Site]:
    """Read a site, check all its signatures, and keep other commands from changing it meanwhile.

    Args:
        folder: what `create_site` has made.
        keys: folders of the private keys; by default the one beside it.
        now: the time of what is written.

    Raises:
        SiteError: it is no site, was damaged or changed, or this machine's clock is wrong.
    """
    with locked(folder):
        found = Keys(folder, keys)
        if not (folder / "metadata" / "timestamp.json").is_file():
            raise SiteError(f"{folder} is no site of models; `edgevit fleet init {shlex.quote(str(folder))}` makes one")
        root = read_roots(folder / "metadata", found.first_root)[-1]
        yield Site(folder, found, now or clock(), root, *read_site(folder / "metadata", root.signed))


def clock() -> datetime:
    """Return this machine's time, which says until when boards accept what is signed now.

    Raises:
        SiteError: it is before this edgevit was made, and boards would call the site expired.
    """
    now, built = (datetime.fromtimestamp(each_s, UTC) for each_s in (time.time(), BUILT_S))
    if now < built:
        raise SiteError(
            f"this machine's clock says {now:%Y-%m-%d}, and edgevit is of {built:%Y-%m-%d}; set it first: boards would "
            "call the site expired"
        )
    return now


def _described(document: Metadata[Any], write: Write) -> MetaFile:
    return MetaFile.from_data(document.signed.version, write[1], ["sha256"])


def document_versions(folder: Path, name: str) -> dict[int, Path]:
    """Return the files of a document by their versions."""
    files = ((path.name.partition(".")[0], path) for path in folder.glob(f"*.{name}.json"))
    return {int(version): path for version, path in files if is_whole(version)}
