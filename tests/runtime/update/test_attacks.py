"""What somebody who holds the web server, or one key, or the card, can do to a board: each row of the table a test."""

import datetime
import hashlib
import itertools
import shutil
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from edgevit.runtime.update.state import Release
from tests.made_signed_site import MadeSite, in_days
from tests.made_static_web import StaticWeb
from tests.made_update_board import MadeBoard, Make

pytestmark = pytest.mark.usefixtures("any_bytes")

OLD, NEW, NEWER = b"an old model" * 1000, b"a new model" * 1500, b"a newer model" * 2000
DAY_S = 86400.0


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refused(board: MadeBoard, why: str, running: bytes = OLD) -> None:
    """Check once: it is told why, the old model goes on, and nothing else is on the disk."""
    state = board.check()
    assert state.state == "failed"
    assert why in (state.error or "")
    assert board.model == board.service.running == running
    assert not list(board.into.glob("*next*"))
    assert set(board.service.loaded) <= {sha(OLD), sha(NEW), sha(NEWER)}


def days_ahead(days: float) -> float:
    return datetime.datetime.now(datetime.UTC).timestamp() + days * DAY_S


def mix(site: MadeSite, old: Path, *patterns: str) -> None:
    """Put the old files of these names in place of the newest ones of that role."""
    for pattern in patterns:
        newest = max(site.metadata.glob(pattern), key=lambda path: int(path.name.split(".")[0]))
        oldest = max((old / "metadata").glob(pattern), key=lambda path: int(path.name.split(".")[0]))
        shutil.copy(oldest, newest)


@pytest.mark.parametrize("content", [b"X" * len(NEW), NEW + b"more", NEW[:-100]], ids=["replaced", "longer", "shorter"])
def test_model_that_is_not_what_was_signed_is_refused_and_nothing_is_left(
    site: MadeSite, make: Make, content: bytes
) -> None:
    site.publish("stable/farm.onnx", NEW)
    site.target_file("stable/farm.onnx", sha(NEW)).write_bytes(content)
    refused(make(model=OLD), "is not what was signed; upload the site anew")


def test_old_site_is_refused_by_a_board_that_knows_a_newer_one(
    site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path
) -> None:
    site.publish("stable/farm.onnx", OLD)
    board, old = make(model=OLD), site.copy(tmp_path / "old")
    site.publish("stable/farm.onnx", NEW)
    assert board.check().state == "confirmed"
    web.folder = old
    refused(board, "the site is older than what this board has seen", NEW)


def test_old_site_is_taken_by_a_fresh_board_only_until_it_expires(
    site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path
) -> None:
    """That is inherent: whoever has seen nothing cannot know that there is something newer."""
    site.publish("stable/farm.onnx", NEW)
    web.folder = site.copy(tmp_path / "old")
    site.publish("stable/farm.onnx", NEWER)
    assert make(model=OLD).check().installed == Release(1, sha(NEW))
    late = make(model=OLD)
    assert "signatures have expired" in (late.check(now_s=lambda: days_ahead(31)).error or "")
    assert late.model == OLD


@pytest.mark.parametrize("pattern", ["*.snapshot.json", "*.stable.json"])
def test_old_documents_mixed_into_a_new_site_are_refused(
    site: MadeSite, make: Make, tmp_path: Path, pattern: str
) -> None:
    site.publish("stable/farm.onnx", OLD)
    old = site.copy(tmp_path / "old")
    site.publish("stable/farm.onnx", NEW)
    mix(site, old, pattern)
    refused(make(model=OLD), "older than what this board has seen, or mixed with old files")


def test_endless_timestamp_is_given_up_after_16_kilobytes(site: MadeSite, web: StaticWeb, make: Make) -> None:
    web.instead["/metadata/timestamp.json"] = b'{"signed": "' + b"x" * 20_000_000
    refused(make(model=OLD), "exceeding the maximum allowed length of 16384")


def test_site_of_another_farm_is_refused(site: MadeSite, make: Make, tmp_path: Path) -> None:
    site.publish("stable/farm.onnx", NEW)
    other = MadeSite(tmp_path / "other")
    refused(make(model=OLD, root=other.first_root), "not signed with the keys that this board trusts")


def test_canary_key_that_names_a_model_of_stable_is_ignored(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    site.add("canary", "stable/farm.onnx", NEW)
    site.write()
    board = make(model=OLD)
    assert board.check().state == "current"
    assert board.check().latest == Release(1, sha(OLD))


def test_canary_key_that_signs_stable_is_refused(site: MadeSite, make: Make) -> None:
    site.publish("canary/farm.onnx", OLD)
    site.publish("stable/farm.onnx", OLD)
    site.keys["stable"] = site.keys["canary"]
    site.publish("stable/farm.onnx", NEW)
    refused(make(model=OLD), "not signed with the keys that this board trusts")


def test_expired_site_is_refused_and_fine_after_a_renewal(site: MadeSite, make: Make) -> None:
    board = make(model=OLD)
    site.days = -0.01
    site.publish("stable/farm.onnx", NEW)
    refused(board, "the site's signatures have expired")
    assert "run `edgevit fleet renew`" in board.told[-1]
    site.days = 30
    site.write()
    assert board.check().state == "confirmed"


def test_timestamp_key_that_was_taken_away_signs_nothing_any_more(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.check()
    stolen = site.keys["timestamp"]
    site.replace_key("timestamp")
    site.publish("stable/farm.onnx", NEWER)
    assert board.check().state == "confirmed"
    site.keys["timestamp"] = stolen
    site.write()
    refused(board, "not signed with the keys that this board trusts", NEWER)


def test_thief_who_signed_the_last_version_of_all_is_got_rid_of_by_new_keys(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    site.timestamp.version = 2**31
    site.write()
    assert board.check().state == "confirmed"
    site.timestamp.version = 7
    site.replace_key("timestamp")
    site.publish("stable/farm.onnx", NEWER)
    assert board.check().installed == Release(2, sha(NEWER))


def replaced_root(site: MadeSite, signers: int) -> None:
    """Replace one of three root keys, by a root that so many of the old ones and all of the new ones sign."""
    lost, *kept = site.keys["root"]
    site.root.revoke_key(lost.public_key.keyid, "root")
    new = CryptoSigner.generate_ed25519()
    site.root.add_key(new.public_key, "root")
    site.write_root([*kept[:signers], new])
    site.keys["root"] = [*kept, new]


def test_root_keys_are_replaced_by_two_of_three_four_times_over(tmp_path: Path, make: Make, web: StaticWeb) -> None:
    site = MadeSite(tmp_path / "three", root_keys=3, threshold=2)
    web.folder = site.folder
    first = site.first_root
    for _ in range(4):
        replaced_root(site, 2)
    site.publish("stable/farm.onnx", NEW)
    assert (site.root.version, site.root.roles["root"].threshold) == (5, 2)
    board = make(model=OLD, root=first)
    assert board.check().state == "confirmed"
    assert "/metadata/5.root.json" in web.asked


def test_root_that_one_of_two_needed_keys_signed_is_refused(tmp_path: Path, make: Make, web: StaticWeb) -> None:
    site = MadeSite(tmp_path / "three", root_keys=3, threshold=2)
    web.folder, first = site.folder, site.first_root
    replaced_root(site, 1)
    site.publish("stable/farm.onnx", NEW)
    refused(make(model=OLD, root=first), "not signed with the keys that this board trusts")


@pytest.mark.parametrize("missing", ["target", "channel", "snapshot"])
def test_half_uploaded_site_is_refused_and_fine_when_it_is_whole(site: MadeSite, make: Make, missing: str) -> None:
    site.publish("stable/farm.onnx", NEW)
    path = {
        "target": site.target_file("stable/farm.onnx", sha(NEW)),
        "channel": site.metadata / "1.stable.json",
        "snapshot": site.metadata / f"{site.snapshot.version}.snapshot.json",
    }[missing]
    content = path.read_bytes()
    path.unlink()
    board = make(model=OLD)
    refused(board, "there is no such file, or the upload is not complete")
    path.write_bytes(content)
    assert board.check().state == "confirmed"


@pytest.mark.parametrize(
    "emptied", [*itertools.combinations(["timestamp", "snapshot", "targets", "stable"], 2), ("all", "roots")]
)
def test_old_site_is_refused_though_a_power_cut_emptied_what_was_stored(
    site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path, emptied: tuple[str, ...]
) -> None:
    site.publish("stable/farm.onnx", OLD)
    board, old = make(model=OLD), site.copy(tmp_path / "old")
    if "roots" in emptied:
        site.replace_key("timestamp")
    site.publish("stable/farm.onnx", NEW)
    assert board.check().state == "confirmed"
    store = board.into / "update" / "metadata"
    names = [path.stem for path in store.glob("[!r]*.json")] if "all" in emptied else list(emptied)
    for name in names:
        (store / f"{name}.json").write_bytes(b"")
    if "roots" in emptied:
        for path in (store / "root_history").iterdir():
            path.write_bytes(b"")
    web.folder = old
    refused(board, "the site is older than what this board has seen", NEW)
    # and the true one is taken again
    web.folder = site.folder
    assert board.check().state == "current"


def test_channel_that_goes_back_in_a_newer_snapshot_is_refused(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.check()
    (board.into / "update" / "metadata" / "snapshot.json").write_bytes(b"")
    site.channels["stable"].version = 0
    site.publish("stable/farm.onnx", OLD)
    refused(board, "stable has version 1, expected 2 or more", NEW)


def test_damaged_floor_is_no_reason_to_believe_anything(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    (board.into / "update").mkdir()
    (board.into / "update" / "floor.json").write_text('{"seen_s": ')
    refused(board, "floor.json is damaged")


@pytest.mark.parametrize("name", ["farm", "../farm.onnx", "stable/../../farm.onnx"])
def test_entry_that_edgevit_did_not_write_is_refused(site: MadeSite, make: Make, name: str) -> None:
    site.publish("stable/farm.onnx", NEW)
    site.channels["stable"].targets["stable/farm.onnx"].unrecognized_fields["custom"] = {"version": name}
    site.channels["stable"].expires = in_days(100)
    site._write("stable", site.channels["stable"])
    site.write()
    refused(make(model=OLD), "the site's entry of stable/farm.onnx")
