"""Giving the boards of a channel a model: a new one, another channel's, or again an older one."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

from edgevit.artifact.files import open_model
from edgevit.artifact.manifest import read_manifest
from edgevit.errors import ModelFileError, OptionError, SiteError
from edgevit.fleet.names import check_channel, check_name, check_percent
from edgevit.fleet.rollout import Rollout, next_rollout
from edgevit.fleet.site import Site, write
from edgevit.fleet.writing import writing
from edgevit.runtime.update.offer import LARGEST, Edition, check_length


def publish(site: Site, model: Path, name: str, channel: str, percent: int = 100) -> Rollout:
    """Give a model to the boards that follow CHANNEL/NAME.

    Raises:
        OptionError: a name or the percentage cannot be.
        ModelFileError: the model is no model of edgevit, or is damaged.
        UpdateError: it is larger than a board takes.
        SiteError: a key is missing.
        OutputError: the disk does not take it; the boards see what was there before.
    """
    check_channel(channel)
    check_name(name)
    if model.suffix.lower() != Path(name).suffix:
        raise OptionError(
            f"--as is {name!r}, and {model} is a {model.suffix or 'file without suffix'}; keep the suffix"
        )
    if read_manifest(model) is None:
        raise ModelFileError(
            f"{model} is a model that edgevit did not export: it has no checksum and no self-test, by which a board "
            "can tell that it works; export it by `edgevit export`"
        )
    digest, length = _digest(model)
    check_length(length, LARGEST)
    return _give(site, f"{channel}/{name}", digest, length, percent, model)


def promote(site: Site, name: str, source: str, channel: str, percent: int = 100) -> Rollout:
    """Give what boards of the channel `source` have to those of another, or to more boards of the same.

    Raises:
        OptionError: a name or the percentage cannot be, or the boards have it already.
        SiteError: `source` does not have it, its file was changed, or a key is missing.
        OutputError: the disk does not take it; the boards see what was there before.
    """
    check_channel(channel, "--to")
    given = site.rollout(source, name)
    file = site.target_file(given.path, given.edition.sha256)
    return _give(site, f"{channel}/{name}", given.edition.sha256, given.edition.length, percent, file)


def rollback(site: Site, name: str, channel: str, version: int | None = None) -> Rollout:
    """Give all boards of a channel what they had before the rollout that stands, under a new version.

    Args:
        site: where it is.
        name: of the model.
        channel: of the model.
        version: which of the earlier ones; by default the newest.

    Raises:
        SiteError: there is no earlier model, or its file is gone.
        OutputError: the disk does not take it; the boards see what was there before.
    """
    now = site.rollout(channel, name)
    choices = [edition for edition in now.earlier if edition.sha256 != now.edition.sha256]
    chosen = next((edition for edition in choices if version in (None, edition.version)), None)
    if chosen is None:
        known = ", ".join(str(edition.version) for edition in choices)
        what = "no earlier model" if version is None else f"no earlier version {version}"
        raise SiteError(f"{now.path} has {what}; " + (f"choose one of: {known}" if known else "publish another one"))
    _check_bytes(site, now.path, chosen)
    # what came after it is not gone back to
    earlier = tuple(edition for edition in now.earlier if edition.version < chosen.version)
    edition = dataclasses.replace(chosen, version=now.edition.version + 1)
    rollout = Rollout(now.path, edition, earlier=earlier)
    site.put(rollout)
    write(site.signed({channel}))
    return rollout


def _give(site: Site, path: str, digest: str, length: int, percent: int, file: Path) -> Rollout:
    check_percent(percent)
    channel, _, name = path.partition("/")
    is_new = channel not in site.channels
    now = None if is_new or path not in site.channel(channel).targets else site.rollout(channel, name)
    if now is not None and now.edition.sha256 == digest and percent <= now.percent:
        raise OptionError(
            f"{path} is this model already, for {now.percent} % of the boards (version {now.edition.version}); give a "
            "higher --percent, or go back with `edgevit fleet rollback`"
        )
    rollout = next_rollout(path, digest, length, percent, now)
    site.put(rollout)
    plan = site.signed({channel, "targets"} if is_new else {channel})
    _copy(file, site.target_file(path, digest), rollout.edition)
    write(plan)
    return rollout


def _copy(file: Path, target: Path, edition: Edition) -> None:
    """Copy a model into the site, and see that it is the one that will be signed."""
    if file == target:
        _check_file(file, file, edition)
        return
    with open_model(file) as source, writing(target) as temporary:
        with temporary.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        _check_file(temporary, file, edition)


def _check_bytes(site: Site, path: str, edition: Edition) -> None:
    file = site.target_file(path, edition.sha256)
    if not file.is_file():
        raise SiteError(f"{file} (version {edition.version}) is gone, perhaps pruned; publish the model again instead")
    _check_file(file, file, edition)


def _check_file(copy: Path, file: Path, edition: Edition) -> None:
    """Refuse other bytes in `copy` than those of an edition; `file` is what the user knows them by."""
    if _digest(copy)[0] != edition.sha256:
        raise SiteError(
            f"{file} is not what was signed as version {edition.version}: it was changed or damaged; publish the model "
            "again from the PC that exported it"
        )


def _digest(file: Path) -> tuple[str, int]:
    """Return a file's SHA-256 and its length in bytes."""
    with open_model(file) as opened:
        total = hashlib.sha256()
        while piece := opened.read(1 << 20):
            total.update(piece)
        return total.hexdigest(), opened.tell()
