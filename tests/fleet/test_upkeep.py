"""Renewing, replacing keys and removing what is no longer needed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from edgevit.errors import SiteError
from edgevit.fleet.publish import publish, rollback
from edgevit.fleet.site import Site, open_site
from edgevit.fleet.upkeep import prune, renew, rotate
from tests.fleet.conftest import Publish, described, expiries
from tests.plain_board import PlainBoard

Contents = dict[str, bytes]
SOON = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_a_renewal_moves_every_date_but_the_roots(site: Path, give: Publish) -> None:
    give("a", "stable")
    give("a", "canary")
    with open_site(site) as opened:
        renewal = renew(opened, SOON)
    assert (renewal.renewed, renewal.left) == (("canary", "stable"), {})
    assert renewal.root_expires - datetime.now(UTC) > timedelta(days=3649)
    assert _dates(site) == dict.fromkeys(("timestamp", "snapshot", "targets", "canary", "stable"), SOON)
    # a shorter time is taken at its word
    with open_site(site) as opened:
        renew(opened, SOON - timedelta(days=300))
    assert set(_dates(site).values()) == {SOON - timedelta(days=300)}


def test_publishing_never_shortens_what_a_renewal_gave(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened:
        renew(opened, SOON)
    give("bb")
    assert set(_dates(site).values()) == {SOON}


def test_publishing_gives_thirty_days(site: Path, models: dict[str, Path]) -> None:
    now = datetime(2031, 1, 1, tzinfo=UTC)
    with open_site(site, now=now) as opened:
        publish(opened, models["a"], "farm.onnx", "stable")
    assert _dates(site) == dict.fromkeys(
        ("timestamp", "snapshot", "targets", "stable"), datetime(2031, 1, 31, tzinfo=UTC)
    )


def test_a_renewal_leaves_a_channel_whose_key_is_elsewhere_and_says_so(site: Path, give: Publish) -> None:
    give("a", "stable")
    give("a", "canary")
    left = _dates(site)["canary"]
    for path in site.with_name("farm-keys").glob("channel-canary.*"):
        path.unlink()
    with open_site(site) as opened:
        renewal = renew(opened, SOON)
    assert (renewal.renewed, renewal.left) == (("stable",), {"canary": left})
    assert (_dates(site)["canary"], _dates(site)["stable"]) == (left, SOON)


def test_a_channels_key_is_replaced_alone(site: Path, board: PlainBoard, give: Publish, bytes_of: Contents) -> None:
    give("a", "stable")
    give("a", "canary")
    board.look(site, "canary/farm.onnx")
    keys = site.with_name("farm-keys")
    before = {path.name for path in keys.glob("*.pem")}
    with open_site(site) as opened:
        rotate(opened, ["canary"])
    (old,) = before - {path.name for path in keys.glob("*.pem")}
    assert old.startswith("channel-canary.")
    assert [path.name for path in (keys / "replaced").iterdir()] == [old]
    assert board.look(site, "canary/farm.onnx")[1] == bytes_of["a"]
    assert not (site / "metadata" / "2.root.json").exists()


def test_keys_that_were_replaced_are_trusted_and_sign_no_more(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened:
        before = _trusted(opened)
        rotate(opened)
    give("bb")
    with open_site(site) as opened:
        after = _trusted(opened)
    assert sorted(after) == ["root", "snapshot", "stable", "targets", "timestamp"]
    assert {name: len(ids) for name, ids in after.items()} == dict.fromkeys(after, 1)
    assert not {keyid for ids in before.values() for keyid in ids} & {keyid for ids in after.values() for keyid in ids}
    # boards take a file of 16 kB at most, and old signatures would add up
    newest = {"timestamp": site / "metadata" / "timestamp.json", "stable": site / "metadata" / "3.stable.json"}
    for name, path in newest.items():
        signed: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
        assert list(signed.signatures) == after[name]


def test_a_channel_gets_no_new_key_while_the_one_that_lists_channels_is_missing(site: Path, give: Publish) -> None:
    give("a")
    keys = site.with_name("farm-keys")
    for path in keys.glob("targets.*"):
        path.unlink()
    before = sorted(keys.rglob("*"))
    with open_site(site) as opened, pytest.raises(SiteError, match="keys that sign the list of channels are in"):
        rotate(opened, ["stable"])
    assert sorted(keys.rglob("*")) == before


def test_a_lost_channel_key_is_replaced(site: Path, board: PlainBoard, give: Publish, bytes_of: Contents) -> None:
    give("a")
    for path in site.with_name("farm-keys").glob("channel-stable.*"):
        path.unlink()
    with open_site(site) as opened:
        rotate(opened, ["stable"])
    give("bb")
    assert board.look(site, "stable/farm.onnx")[1] == bytes_of["bb"]


def test_a_lost_key_of_the_site_is_replaced(site: Path, board: PlainBoard, give: Publish, bytes_of: Contents) -> None:
    give("a")
    for path in site.with_name("farm-keys").glob("timestamp.*"):
        path.unlink()
    with open_site(site) as opened:
        rotate(opened)
    assert board.look(site, "stable/farm.onnx")[1] == bytes_of["a"]


def test_a_channel_that_is_not_there_gets_no_key(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened, pytest.raises(SiteError, match="no channel 'canary'; choose one of: stable"):
        rotate(opened, ["canary"])


def test_replacing_keys_renews_the_root(site: Path) -> None:
    with open_site(site, now=SOON) as opened:
        rotate(opened)
    root: Metadata[Targets] = Metadata.from_bytes((site / "metadata" / "2.root.json").read_bytes())
    assert root.signed.expires == SOON + timedelta(days=3650)


def test_pruning_keeps_what_boards_take_and_what_a_rollback_needs(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    for name in ("a", "bb", "ccc"):
        give(name)
    file = {
        name: site / "targets" / "stable" / f"{described(content, 0)['sha256']}.farm.onnx"
        for name, content in bytes_of.items()
    }
    cut_off = site / "targets" / "stable" / ".part-0123456789ab.onnx"
    cut_off.write_bytes(b"12345")
    with open_site(site) as opened:
        removed = prune(opened, keep=1)
    assert (cut_off, 5) in removed
    assert (file["a"], len(bytes_of["a"])) in removed
    assert [name for name, path in file.items() if path.exists()] == ["bb", "ccc"]
    assert board.look(site, "stable/farm.onnx")[1] == bytes_of["ccc"]
    with open_site(site) as opened:
        rollback(opened, "farm.onnx", "stable")
    assert board.look(site, "stable/farm.onnx")[1] == bytes_of["bb"]


@pytest.mark.parametrize(("percent", "kept"), [(10, ["bb", "ccc"]), (100, ["ccc"])])
def test_pruning_keeps_what_the_boards_have_that_do_not_take_part(
    site: Path, give: Publish, bytes_of: Contents, percent: int, kept: list[str]
) -> None:
    give("a")
    give("bb")
    give("ccc", percent=percent)
    with open_site(site) as opened:
        prune(opened, keep=0)
    lengths = {len(content): name for name, content in bytes_of.items()}
    assert sorted(lengths[path.stat().st_size] for path in (site / "targets" / "stable").iterdir()) == kept


def test_pruning_never_takes_a_root_or_what_a_board_may_be_reading(
    site: Path, board: PlainBoard, give: Publish
) -> None:
    for name in ("a", "bb", "ccc"):
        give(name)
    for _ in range(3):
        with open_site(site) as opened:
            rotate(opened)
    with open_site(site) as opened:
        prune(opened)
    assert sorted(path.name for path in (site / "metadata").iterdir()) == [
        *("1.root.json", "2.root.json", "3.root.json", "4.root.json"),
        *("4.targets.json", "5.stable.json", "5.targets.json", "6.snapshot.json", "6.stable.json", "7.snapshot.json"),
        "timestamp.json",
    ]
    board.look(site, "stable/farm.onnx")


def test_pruning_leaves_what_is_not_the_sites(site: Path, give: Publish) -> None:
    give("a")
    foreign = [
        *(site / "index.html", site / "targets" / "stable" / "index.html"),
        *(site / "metadata" / "1x.stable.json", site / "metadata" / "old.snapshot.json"),
        # what another command is writing, where the site is a folder of other things, too
        site / "exports" / ".part-0a1b2c3d4e5f.onnx",
    ]
    (site / "exports").mkdir()
    for path in foreign:
        path.write_text("welcome")
    with open_site(site) as opened:
        prune(opened)
    assert all(path.exists() for path in foreign)


def _dates(site: Path) -> dict[str, datetime]:
    """Return when each document expires, by its name, but for the root."""
    return {name: expires for name, expires in expiries(site).items() if name != "root"}


def _trusted(site: Site) -> dict[str, list[str]]:
    """Return which keys may sign what, by its name."""
    assert site.delegations.roles is not None
    return {name: [*role.keyids] for name, role in [*site.root.signed.roles.items(), *site.delegations.roles.items()]}
