"""Private keys: where they are, who can read them, and what is said when they are not there."""

import fcntl
import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edgevit.errors import OptionError, SiteError
from edgevit.fleet.create import create_site
from edgevit.fleet.keys import Keys
from edgevit.fleet.publish import publish
from edgevit.fleet.site import open_site
from tests.fleet.conftest import Publish
from tests.plain_board import PlainBoard


@pytest.fixture
def keys(site: Path) -> Path:
    return site.with_name("farm-keys")


def test_keys_are_beside_the_site_for_their_owner_alone(keys: Path, give: Publish) -> None:
    give("a")
    assert keys.stat().st_mode & 0o777 == 0o700
    modes = {path.name.partition(".")[0]: path.stat().st_mode & 0o777 for path in keys.glob("*.pem")}
    assert modes == dict.fromkeys(("root", "targets", "snapshot", "timestamp", "channel-stable"), 0o600)


def test_the_site_of_the_current_folder_has_its_keys_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert create_site(Path()) == tmp_path / "here-keys"


@pytest.mark.parametrize("place", ["farm/keys", "farm", "."])
def test_keys_inside_of_the_site_or_around_it_are_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(SiteError, match="private keys would be uploaded with it; choose another folder"):
        create_site(tmp_path / "farm", [tmp_path / place])
    assert list(tmp_path.iterdir()) == []


def test_a_site_is_never_made_over_another(site: Path, keys: Path) -> None:
    with pytest.raises(SiteError, match="is a site of models already"):
        create_site(site)
    shutil.rmtree(site)
    with pytest.raises(SiteError, match="holds something already"):
        create_site(site)
    assert (keys / "1.root.json").is_file()


@pytest.mark.parametrize("threshold", [0, 3])
def test_more_keys_than_there_are_cannot_be_needed(tmp_path: Path, threshold: int) -> None:
    with pytest.raises(OptionError, match=f"is {threshold}, expected 1 to 2"):
        create_site(tmp_path / "farm", root_keys=2, threshold=threshold)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (
            "channel-stable",
            r"0 of the 1 keys that sign the channel stable are in .*farm-keys \(not there: [0-9a-f]{8}\)",
        ),
        ("timestamp", "0 of the 1 keys that sign timestamp"),
        ("1.root.json", "1.root.json is missing: it says whose site this is"),
    ],
)
def test_a_key_that_is_missing_is_named_and_nothing_is_written(
    site: Path, keys: Path, give: Publish, lost: str, expected: str
) -> None:
    give("a")
    for path in keys.glob(f"{lost}*"):
        path.unlink()
    before = sorted(site.rglob("*"))
    with pytest.raises(SiteError, match=expected):
        give("bb")
    assert sorted(site.rglob("*")) == before


@pytest.mark.parametrize(
    ("lost", "named"), [("targets", "the list of channels"), ("snapshot", "snapshot"), ("timestamp", "timestamp")]
)
def test_a_new_channel_gets_no_key_while_another_is_missing(
    site: Path, keys: Path, give: Publish, lost: str, named: str
) -> None:
    give("a", "canary")
    for path in keys.glob(f"{lost}.*"):
        path.unlink()
    with pytest.raises(SiteError, match=f"keys that sign {named} are in"):
        give("a", "stable")
    assert not list(keys.glob("channel-stable*"))


def test_who_has_three_keys_publishes_to_a_channel(
    site: Path, keys: Path, board: PlainBoard, give: Publish, models: dict[str, Path], tmp_path: Path
) -> None:
    give("a", "canary")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("channel-canary", "snapshot", "timestamp", "1.root"):
        for path in keys.glob(f"{name}.*"):
            shutil.copy(path, theirs)
    with open_site(site, [theirs]) as opened:
        publish(opened, models["bb"], "farm.onnx", "canary")
    assert board.look(site, "canary/farm.onnx")[1] == models["bb"].read_bytes()


def test_keys_that_others_can_read_are_told_of(
    site: Path, keys: Path, give: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = keys.glob("snapshot.*")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        give("a")
    told = {message for message in caplog.messages if "can be read by others" in message}
    assert told == {f"{path} can be read by others on this machine; run: chmod 600 {path}"}


def test_files_that_are_no_keys_are_named(site: Path, keys: Path, give: Publish) -> None:
    other = keys / "other.pem"
    other.write_text("hello")
    with pytest.raises(SiteError, match=r"other.pem is no private key, or needs a password"):
        give("a")
    other.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(SiteError, match=r"other.pem is a key of another kind, expected ed25519"):
        give("a")


def test_a_key_that_was_being_written_when_the_power_went_is_no_hindrance(keys: Path, give: Publish) -> None:
    (keys / ".part-0123456789ab.pem").write_text("-----BEGIN PRI")
    give("a")


def test_one_command_at_a_time_changes_a_site(site: Path) -> None:
    handle = os.open(site, os.O_RDONLY)
    with open_site(site), pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_a_key_that_cannot_be_read_is_named(keys: Path, give: Publish) -> None:
    (keys / "other.pem").mkdir()
    with pytest.raises(SiteError, match=f"^{keys / 'other.pem'} cannot be read: "):
        give("a")


def test_retired_keys_are_kept_out_of_the_way_for_their_owner_alone(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "farm", [tmp_path / "keys"])
    old, used, other = keys.make("snapshot"), keys.make("snapshot"), keys.make("targets")
    keys.retire({"snapshot"}, {used.public_key.keyid})
    replaced = tmp_path / "keys" / "replaced"
    assert [path.name for path in replaced.iterdir()] == [f"snapshot.{old.public_key.keyid[:8]}.pem"]
    assert replaced.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "keys").glob("*.pem")) == [
        f"snapshot.{used.public_key.keyid[:8]}.pem",
        f"targets.{other.public_key.keyid[:8]}.pem",
    ]


def test_a_site_whose_place_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "farm").write_text("a file")
    with pytest.raises(
        SiteError, match=f"^{tmp_path / 'farm'} cannot be made: {tmp_path / 'farm'} is no folder; choose"
    ):
        create_site(tmp_path / "farm")


def test_a_site_is_made_with_one_key_of_each_kind_and_ten_years_for_the_root(tmp_path: Path) -> None:
    site, now, until = tmp_path / "deep" / "farm", datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 3, 2, tzinfo=UTC)
    # a folder for the keys that is there, and empty, is no reason to refuse
    keys = tmp_path / "keys"
    keys.mkdir()
    assert create_site(site, [keys], expires=until, now=now) == keys
    kinds = sorted(path.name.partition(".")[0] for path in keys.glob("*.pem"))
    assert kinds == ["root", "snapshot", "targets", "timestamp"]
    with open_site(site, [keys], now=now) as opened:
        root = opened.root.signed
        assert {name: role.threshold for name, role in root.roles.items()} == dict.fromkeys(kinds, 1)
        assert root.expires == datetime(2040, 12, 29, tzinfo=UTC)
        assert {opened.targets.signed.expires, opened.snapshot.expires, opened.timestamp.expires} == {until}


def test_the_first_root_is_taken_from_the_folder_that_has_it(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    assert Keys(tmp_path / "farm", folders).first_root == tmp_path / "a" / "1.root.json"
    (tmp_path / "b" / "1.root.json").write_text("{}")
    assert Keys(tmp_path / "farm", folders).first_root == tmp_path / "b" / "1.root.json"
