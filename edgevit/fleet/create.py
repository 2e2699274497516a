"""Making a site: an empty folder for the boards, and the keys that sign what comes into it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Delegations, Metadata, Root, Snapshot, Targets, Timestamp

from edgevit.errors import OptionError, SiteError
from edgevit.fleet.keys import FIRST_ROOT, Keys
from edgevit.fleet.site import ROOT_DAYS, Site, clock, sign, write
from edgevit.fleet.writing import locked, write_file
from edgevit.system.files import make_folders


def create_site(
    folder: Path,
    keys: Sequence[Path] = (),
    *,
    root_keys: int = 1,
    threshold: int = 1,
    expires: datetime | None = None,
    now: datetime | None = None,
) -> Path:
    """Make a site without models, and its keys.

    Args:
        folder: a new folder, or one that holds no site.
        keys: where the keys go; by default the folder beside it.
        root_keys: how many keys there are that can replace all others.
        threshold: how many of them must sign for that.
        expires: until when boards accept it without a renewal; by default 30 days from now.
        now: the time of what is written.

    Returns:
        The folder of the keys.

    Raises:
        OptionError: more keys must sign than there are.
        SiteError: there is a site, or there are keys, already; or this machine's clock is wrong.
        OutputError: the disk does not take it.
    """
    if not 1 <= threshold <= root_keys:
        raise OptionError(f"--threshold is {threshold}, expected 1 to {root_keys}, as many as --root-keys")
    now = now or clock()
    found = Keys(folder, keys)
    place = found.folders[0]
    try:
        make_folders(folder)
    except OSError as error:
        raise SiteError(f"{folder} cannot be made: {error.strerror or error}; choose another place") from error
    with locked(folder):
        if (folder / "metadata" / "timestamp.json").exists():
            raise SiteError(f"{folder} is a site of models already; `edgevit fleet publish` puts models there")
        if place.is_dir() and any(place.iterdir()):
            raise SiteError(
                f"{place} holds something already; keys that boards trust are never replaced so: choose another folder "
                "with --keys, or remove it if an init was cut off"
            )
        _create(folder, found, root_keys, threshold, expires, now)
    return place


def _create(folder: Path, keys: Keys, root_keys: int, threshold: int, expires: datetime | None, now: datetime) -> None:
    root = Root(expires=now + timedelta(days=ROOT_DAYS), consistent_snapshot=True)
    for name, role in root.roles.items():
        for _ in range(root_keys if name == "root" else 1):
            root.add_key(keys.make(name).public_key, name)
        role.threshold = threshold if name == "root" else 1
    signed = Metadata(root)
    content = sign(signed, keys.signers(root.roles["root"], "root"))
    write_file(keys.folders[0] / FIRST_ROOT, content)
    targets = Metadata(Targets(delegations=Delegations({}, {})))
    site = Site(folder, keys, now, signed, Timestamp(), Snapshot(meta={}), targets)
    write([(site.metadata / FIRST_ROOT, content), *site.signed({"targets"}, expires)])
