"""A site of signed models made with The Update Framework's own tools, and every way to make it a wrong one."""

import datetime
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

TOP = ("root", "timestamp", "snapshot", "targets")


def in_days(days: float) -> datetime.datetime:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return now + datetime.timedelta(days=days)


class MadeSite:
    """A folder with `metadata` and `targets`, and the keys of all its documents."""

    def __init__(self, folder: Path, root_keys: int = 1, threshold: int = 1) -> None:
        self.folder = folder
        self.days = 30.0
        """After how many days the timestamp and the snapshot expire."""
        for name in ("metadata", "targets"):
            (folder / name).mkdir(parents=True)
        self.keys = {name: [CryptoSigner.generate_ed25519()] for name in TOP[1:]}
        self.keys["root"] = [CryptoSigner.generate_ed25519() for _ in range(root_keys)]
        self.root = Root(expires=in_days(3650), consistent_snapshot=True)
        for name in TOP:
            for key in self.keys[name]:
                self.root.add_key(key.public_key, name)
        self.root.roles["root"].threshold = threshold
        self.targets = Targets(expires=in_days(365), delegations=Delegations({}, {}))
        self.channels: dict[str, Targets] = {}
        self.snapshot = Snapshot(expires=in_days(30))
        self.timestamp = Timestamp(expires=in_days(30))
        self.root.version = self.snapshot.version = self.timestamp.version = self.targets.version = 0
        self.write_root(self.keys["root"])
        self._write("targets", self.targets)
        self.write()

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def first_root(self) -> str:
        """What boards are enrolled with."""
        return (self.metadata / "1.root.json").read_text()

    def channel(self, name: str) -> Targets:
        if name not in self.channels:
            assert self.targets.delegations is not None
            assert self.targets.delegations.roles is not None
            self.keys[name] = [CryptoSigner.generate_ed25519()]
            self.targets.delegations.roles[name] = DelegatedRole(name, [], 1, terminating=True, paths=[f"{name}/*"])
            self.targets.add_key(self.keys[name][0].public_key, name)
            self.channels[name] = Targets(expires=in_days(365))
            self.channels[name].version = 0
            self._write("targets", self.targets)
        return self.channels[name]

    def publish(self, path: str, content: bytes, percent: int = 100, before: dict[str, Any] | None = None) -> None:
        """Publish bytes, for all boards or some; the version is one more than the last."""
        self.add(path.partition("/")[0], path, content, percent, before)
        self.write()

    def add(
        self, channel: str, path: str, content: bytes, percent: int = 100, before: dict[str, Any] | None = None
    ) -> None:
        """Have a channel name a target, also one that is not its own, and put its bytes there."""
        role, sha256 = self.channel(channel), hashlib.sha256(content).hexdigest()
        last = role.targets.get(path)
        version = 1 if last is None else last.custom["version"] + 1
        custom = {"version": version, "percent": percent} | ({} if before is None else {"before": before})
        role.targets[path] = TargetFile(len(content), {"sha256": sha256}, path, {"custom": custom})
        self._write(channel, role)
        file = self.target_file(path, sha256)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)

    def edition(self, path: str) -> dict[str, Any]:
        """Return a target as a later one's "before" names it."""
        target = self.channels[path.partition("/")[0]].targets[path]
        assert target.custom is not None
        return {"version": target.custom["version"], "sha256": target.hashes["sha256"], "length": target.length}

    def target_file(self, path: str, sha256: str) -> Path:
        channel, _, name = path.partition("/")
        return self.folder / "targets" / channel / f"{sha256}.{name}"

    def write(self) -> None:
        """Sign a new snapshot and a new timestamp, the last of all."""
        listed = {"targets.json": MetaFile(self.targets.version)}
        listed |= {f"{name}.json": MetaFile(role.version) for name, role in self.channels.items()}
        self.snapshot.meta, self.snapshot.expires = listed, in_days(self.days)
        self._write("snapshot", self.snapshot)
        self.timestamp.snapshot_meta, self.timestamp.expires = MetaFile(self.snapshot.version), in_days(self.days)
        self._write("timestamp", self.timestamp)

    def write_root(self, signers: Sequence[CryptoSigner]) -> None:
        """Sign the next root."""
        self.root.version += 1
        self._save(f"{self.root.version}.root", self.root, signers)

    def replace_key(self, name: str) -> None:
        """Take a role's keys away and give it a new one, in a new root that the root's keys sign."""
        for keyid in list(self.root.roles[name].keyids):
            self.root.revoke_key(keyid, name)
        self.keys[name] = [CryptoSigner.generate_ed25519()]
        self.root.add_key(self.keys[name][0].public_key, name)
        self.write_root(self.keys["root"])
        if name != "targets":
            self.write()

    def copy(self, folder: Path) -> Path:
        """Keep the files as they are now."""
        shutil.copytree(self.folder, folder)
        return folder

    def _write(self, name: str, document: Signed) -> None:
        document.version += 1
        self._save(name if name == "timestamp" else f"{document.version}.{name}", document, self.keys[name])

    def _save(self, name: str, document: Any, signers: Sequence[CryptoSigner]) -> None:
        signed = Metadata(document)
        for signer in signers:
            signed.sign(signer, append=True)
        signed.to_file(str(self.metadata / f"{name}.json"))
