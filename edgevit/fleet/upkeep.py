"""What a site needs while no model changes: renewed signatures, replaced keys, and old files removed."""

import copy
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata

from edgevit.fleet.names import TOP
from edgevit.fleet.rollout import Rollout
from edgevit.fleet.site import ROOT_DAYS, Site, Write, document_versions, sign, write
from edgevit.fleet.writing import told
from edgevit.runtime.update.offer import Edition
from edgevit.system.files import PART

KEPT = 3
"""Earlier models of each name that stay on the site for a rollback."""


@dataclass(frozen=True)
class Renewal:
    """What a renewal could sign."""

    renewed: tuple[str, ...]
    left: dict[str, datetime]
    """What has its key elsewhere, and when it expires."""
    root_expires: datetime
    """When the site's root document expires; `rotate` renews it."""


def renew(site: Site, expires: datetime) -> Renewal:
    """Sign everything but the root document anew, as far as the keys are here.

    Raises:
        SiteError: one of the two keys without which nothing can be signed is missing.
        OutputError: the disk does not take it.
    """
    assert site.delegations.roles is not None
    roles = {"targets": site.root.signed.roles["targets"], **site.delegations.roles}
    here = {name for name, role in roles.items() if len(site.keys.available(role)) >= role.threshold}
    documents = {"targets": site.targets, **site.channels}
    left = {name: documents[name].signed.expires for name in documents if name not in here}
    write(site.signed(here, expires))
    return Renewal(tuple(sorted(here - {"targets"})), left, site.root.signed.expires)


def rotate(site: Site, names: Collection[str] = ()) -> None:
    """Replace keys: those of channels, of the site's own documents (`names.TOP`), or, without names, of all.

    Boards that were last here years ago follow: each root document is signed by the keys of the one before. Until the
    new one is on the server, what is signed by the old keys and the new ones serves boards with either.

    Raises:
        SiteError: there is no such channel, or a key that must agree is missing.
        OutputError: the disk does not take it; the keys are as they were, unless all is written.
    """
    names = set(names) or {*TOP, *site.channels}
    top = [name for name in TOP if name in names]
    channels = sorted(names - set(TOP))
    for name in channels:
        site.channel(name)
    root, also = _new_root(site, top)
    if channels and "targets" not in also:
        site.keys.signers(site.root.signed.roles["targets"], "the list of channels")
    for name in channels:
        _replace_channel_key(site, name)
    changed = {*channels, *(("targets",) if channels or "targets" in top else ())}
    # the root comes last: what it names is there by then
    write([*site.signed(changed, also=also), *root])
    used = {*site.root.signed.keys, *site.delegations.keys}
    site.keys.retire({*top, *(f"channel-{name}" for name in channels)}, used)


def prune(site: Site, keep: int = KEPT) -> list[tuple[Path, int]]:
    """Remove models that no board takes any more, and documents that newer ones replaced; never a root document.

    Args:
        site: where it is.
        keep: how many earlier models of each name stay, so that a rollback finds them.

    Returns:
        The files that were removed, with their bytes.

    Raises:
        OutputError: the disk does not take it.
    """
    named = {site.target_file(path, edition.sha256) for path, edition in _named(site, keep)}
    models = (path for path in (site.folder / "targets").glob("*/*") if re.match(r"[0-9a-f]{64}\.", path.name))
    # not all of the folder, which may hold other things: `edgevit fleet init .`
    cut_off = (path for name in ("metadata", "targets") for path in (site.folder / name).rglob(f"{PART}*"))
    removed = []
    for path in sorted({*(set(models) - named), *cut_off, *_outdated(site)}):
        with told(path):
            removed.append((path, path.stat().st_size))
            path.unlink()
    return removed


def _named(site: Site, keep: int) -> Iterator[tuple[str, Edition]]:
    for channel in site.channels.values():
        for target in channel.signed.targets.values():
            rollout = Rollout.from_target(target)
            # the first of them is what a share of the boards keeps
            kept = rollout.earlier[: keep if rollout.percent == 100 else max(keep, 1)]
            for edition in (rollout.edition, *kept):
                yield rollout.path, edition


def _outdated(site: Site) -> Iterator[Path]:
    """Find documents older than the one before the current, which a board may be about to read."""
    current = {name.removesuffix(".json"): meta.version for name, meta in site.snapshot.meta.items()}
    current["snapshot"] = site.snapshot.version
    for name, version in current.items():
        found = document_versions(site.metadata, name)
        for older in sorted(number for number in found if number < version)[:-1]:
            yield found[older]


def _new_root(site: Site, names: Collection[str]) -> tuple[list[Write], dict[str, list[Signer]]]:
    """Give the named documents of a site new keys; return the new root document, and who signs each until it is there.

    `site.root` becomes the new one. Without names there is nothing to write.
    """
    if not names:
        return [], {}
    old = site.root.signed
    agreeing: list[Signer] = [*site.keys.signers(old.roles["root"], "a new root")]
    new = copy.deepcopy(old)
    new.version, new.expires = old.version + 1, site.now + timedelta(days=ROOT_DAYS)
    also: dict[str, list[Signer]] = {}
    for name in names:
        also[name] = [*site.keys.available(old.roles[name])]
        for keyid in old.roles[name].keyids:
            new.revoke_key(keyid, name)
            also[name].append(site.keys.make(name))
            new.add_key(also[name][-1].public_key, name)
    site.root = Metadata(new)
    content = sign(site.root, also.get("root", agreeing))
    return [(site.metadata / f"{new.version}.root.json", content)], also


def _replace_channel_key(site: Site, name: str) -> None:
    assert site.delegations.roles is not None
    for keyid in [*site.delegations.roles[name].keyids]:
        site.targets.signed.revoke_key(keyid, name)
    site.targets.signed.add_key(site.keys.make(f"channel-{name}").public_key, name)
