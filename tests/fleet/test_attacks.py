"""Who changes a site without its keys, or with a key of another channel, gets no board to run anything."""

import json
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, MetaFile, Root, Targets, Timestamp

from edgevit.errors import SiteError, UpdateError
from edgevit.fleet.create import create_site
from edgevit.fleet.publish import publish
from edgevit.fleet.rollout import next_rollout
from edgevit.fleet.site import open_site, sign, write
from edgevit.fleet.upkeep import renew, rotate
from tests.fleet.conftest import Publish, described
from tests.plain_board import PlainBoard

Contents = dict[str, bytes]
NAME = "stable/farm.onnx"


@pytest.mark.parametrize("change", ["replaced", "longer", "shorter"])
def test_a_changed_model_is_refused(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents, change: str
) -> None:
    give("a")
    (file,) = (site / "targets" / "stable").iterdir()
    content = bytes_of["a"]
    file.write_bytes({"replaced": b"X" + content[1:], "longer": content + b"X", "shorter": content[:-1]}[change])
    with pytest.raises((LengthOrHashMismatchError, DownloadLengthMismatchError)):
        board.look(site, NAME)
    assert not (board.home / "model").exists()


def test_an_old_site_is_refused_by_a_board_that_has_seen_a_newer(
    site: Path, board: PlainBoard, give: Publish, tmp_path: Path
) -> None:
    give("a")
    old = shutil.copytree(site, tmp_path / "old")
    give("bb")
    board.look(site, NAME)
    with pytest.raises(BadVersionNumberError):
        board.look(old, NAME)


def test_an_old_site_is_taken_by_a_new_board_until_it_expires(
    tmp_path: Path, models: dict[str, Path], bytes_of: Contents
) -> None:
    site, now = tmp_path / "farm", datetime.now(UTC)
    for days, expected in ((-25, bytes_of["a"]), (-31, None)):
        create_site(site, now=now + timedelta(days))
        with open_site(site, now=now + timedelta(days)) as opened:
            publish(opened, models["a"], "farm.onnx", "stable")
        board = PlainBoard(tmp_path / f"board{days}", site / "metadata" / "1.root.json")
        if expected is None:
            with pytest.raises(ExpiredMetadataError):
                board.look(site, NAME)
        else:
            assert board.look(site, NAME)[1] == expected
        shutil.rmtree(site)
        shutil.rmtree(tmp_path / "farm-keys")


@pytest.mark.parametrize("mixed", ["snapshot", "stable"])
def test_an_old_document_among_new_ones_is_refused(site: Path, board: PlainBoard, give: Publish, mixed: str) -> None:
    give("a")
    give("bb")
    *_, old, new = sorted((site / "metadata").glob(f"*.{mixed}.json"))
    shutil.copy(old, new)
    with pytest.raises(RepositoryError):
        board.look(site, NAME)
    with pytest.raises(SiteError, match=f"{mixed}.json"), open_site(site):
        pass


def test_a_huge_timestamp_is_refused(site: Path, board: PlainBoard) -> None:
    (site / "metadata" / "timestamp.json").write_bytes(b" " * 16385)
    with pytest.raises(DownloadLengthMismatchError):
        board.look(site, NAME)


def test_another_farms_root_is_refused(site: Path, give: Publish, tmp_path: Path) -> None:
    give("a")
    create_site(tmp_path / "other")
    stranger = PlainBoard(tmp_path / "stranger", tmp_path / "other" / "metadata" / "1.root.json")
    with pytest.raises(UnsignedMetadataError):
        stranger.look(site, NAME)


def test_what_a_channel_says_of_another_is_ignored(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a", "stable")
    give("bb", "canary")
    with open_site(site) as opened:
        digest = str(described(bytes_of["bb"], 1)["sha256"])
        forged = next_rollout(NAME, digest, len(bytes_of["bb"]), 100, opened.rollout("stable", "farm.onnx"))
        opened.channels["canary"].signed.targets[NAME] = forged.to_target()
        write(opened.signed({"canary"}))
    assert board.look(site, NAME)[1] == bytes_of["a"]


def test_a_channel_signed_by_the_key_of_another_is_refused(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a", "stable")
    give("bb", "canary")
    with open_site(site) as opened:
        opened.delegations.roles["stable"].keyids = opened.delegations.roles["canary"].keyids  # type: ignore[index]
        write(opened.signed({"stable"}))
    with pytest.raises(UnsignedMetadataError):
        board.look(site, NAME)
    # nor does the owner sign anything on top of it
    with pytest.raises(SiteError, match=r"2.stable.json was changed, or is not signed by this site's keys"):
        give("ccc", "canary")


def test_an_expired_site_is_refused_until_it_is_renewed(
    tmp_path: Path, models: dict[str, Path], bytes_of: Contents
) -> None:
    site, now = tmp_path / "farm", datetime.now(UTC)
    create_site(site, now=now - timedelta(days=31))
    with open_site(site, now=now - timedelta(days=31)) as opened:
        publish(opened, models["a"], "farm.onnx", "stable")
    board = PlainBoard(tmp_path / "board", site / "metadata" / "1.root.json")
    with pytest.raises(ExpiredMetadataError):
        board.look(site, NAME)
    with open_site(site) as opened:
        renew(opened, now + timedelta(days=30))
    assert board.look(site, NAME)[1] == bytes_of["a"]


def test_a_stolen_timestamp_key_is_worth_nothing_once_it_is_replaced(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    (stolen,) = site.with_name("farm-keys").glob("timestamp.*.pem")
    thief = _signer(stolen)
    board.look(site, NAME)
    with open_site(site) as opened:
        rotate(opened, ["timestamp"])
    assert board.look(site, NAME)[1] == bytes_of["a"]
    file = site / "metadata" / "timestamp.json"
    forged: Metadata[Timestamp] = Metadata.from_bytes(file.read_bytes())
    forged.signed.version += 1
    file.write_bytes(sign(forged, [thief]))
    with pytest.raises(UnsignedMetadataError):
        board.look(site, NAME)


@pytest.fixture
def two_of_three(tmp_path: Path) -> Path:
    """Return a site where two of three keys must agree on a new root document."""
    create_site(tmp_path / "shared", root_keys=3, threshold=2)
    return tmp_path / "shared"


def test_two_of_three_root_keys_replace_all_keys(
    two_of_three: Path, tmp_path: Path, models: dict[str, Path], bytes_of: Contents
) -> None:
    keys = two_of_three.with_name("shared-keys")
    board = PlainBoard(tmp_path / "board", two_of_three / "metadata" / "1.root.json")
    before = {path.name for path in keys.glob("*.pem")}
    lost, *_ = sorted(keys.glob("root.*.pem"))
    lost.unlink()
    with open_site(two_of_three) as opened:
        publish(opened, models["a"], "farm.onnx", "stable")
    with open_site(two_of_three) as opened:
        rotate(opened)
    assert board.look(two_of_three, NAME)[1] == bytes_of["a"]
    after = {path.name for path in keys.glob("*.pem")}
    assert not before & after
    assert sorted(name.partition(".")[0] for name in after) == [
        "channel-stable",
        *["root"] * 3,
        "snapshot",
        "targets",
        "timestamp",
    ]


def test_root_keys_of_two_places_are_brought_together(two_of_three: Path, tmp_path: Path) -> None:
    keys, stick = two_of_three.with_name("shared-keys"), tmp_path / "stick"
    stick.mkdir()
    for path in sorted(keys.glob("root.*.pem"))[:2]:
        path.rename(stick / path.name)
    with open_site(two_of_three) as opened, pytest.raises(SiteError, match=r"1 of the 2 keys that sign a new root"):
        rotate(opened)
    with open_site(two_of_three, [keys, stick]) as opened:
        rotate(opened)
    assert (two_of_three / "metadata" / "2.root.json").is_file()


def test_a_root_signed_by_one_of_two_is_refused(two_of_three: Path, tmp_path: Path) -> None:
    board = PlainBoard(tmp_path / "board", two_of_three / "metadata" / "1.root.json")
    thief, *_ = two_of_three.with_name("shared-keys").glob("root.*.pem")
    root: Metadata[Root] = Metadata.from_bytes((two_of_three / "metadata" / "1.root.json").read_bytes())
    root.signed.version = 2
    root.signed.roles["root"].threshold = 1
    (two_of_three / "metadata" / "2.root.json").write_bytes(sign(root, [_signer(thief)]))
    with pytest.raises(UnsignedMetadataError):
        board.look(two_of_three, NAME)
    with pytest.raises(SiteError, match=r"2.root.json was changed, or is not signed"), open_site(two_of_three):
        pass


def test_a_root_that_its_own_keys_did_not_sign_is_refused(site: Path) -> None:
    """Else one that is signed by the old key alone would lock out those who come after."""
    (old,) = site.with_name("farm-keys").glob("root.*")
    root: Metadata[Root] = Metadata.from_bytes((site / "metadata" / "1.root.json").read_bytes())
    root.signed.version = 2
    root.signed.add_key(CryptoSigner.generate_ed25519().public_key, "root")
    root.signed.roles["root"].threshold = 2
    (site / "metadata" / "2.root.json").write_bytes(sign(root, [_signer(old)]))
    with pytest.raises(SiteError, match=r"2.root.json was changed, or is not signed"), open_site(site):
        pass


def test_a_board_that_is_four_roots_behind_follows(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    board.look(site, NAME)
    for _ in range(4):
        with open_site(site) as opened:
            rotate(opened)
    give("bb")
    assert (site / "metadata" / "5.root.json").is_file()
    assert board.look(site, NAME)[1] == bytes_of["bb"]


def test_a_site_of_which_half_is_uploaded_is_refused(
    site: Path, board: PlainBoard, give: Publish, tmp_path: Path
) -> None:
    give("a")
    half = shutil.copytree(site, tmp_path / "half")
    give("bb")
    shutil.copy(site / "metadata" / "timestamp.json", half / "metadata")
    with pytest.raises(DownloadHTTPError):
        board.look(half, NAME)


def test_a_site_uploaded_in_our_order_always_serves(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents, tmp_path: Path
) -> None:
    give("a")
    server = shutil.copytree(site, tmp_path / "server")
    give("bb")
    with open_site(site) as opened:
        rotate(opened)
    seen = []
    for path in _upload_order(site):
        (server / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(site / path, server / path)
        seen.append(board.look(server, NAME)[1])
    change = seen.index(bytes_of["bb"])
    assert seen == [bytes_of["a"]] * change + [bytes_of["bb"]] * (len(seen) - change)


def test_a_site_that_somebody_made_up_does_not_get_the_owners_signature(site: Path, give: Publish) -> None:
    """Else what a thief put into a channel would come to the boards with its next model."""
    give("a", "canary")
    thief, metadata = CryptoSigner.generate_ed25519(), site / "metadata"

    def signed_anew(name: str, change: Callable[[Any], object]) -> bytes:
        document: Metadata[Any] = Metadata.from_bytes((metadata / name).read_bytes())
        change(document.signed)
        content = sign(document, [thief])
        (metadata / name).write_bytes(content)
        return content

    def name_the_thief(root: Root) -> None:
        for role in root.roles:
            root.add_key(thief.public_key, role)

    signed_anew("1.root.json", name_the_thief)
    targets = MetaFile.from_data(2, signed_anew("2.targets.json", lambda _: None), ["sha256"])
    snapshot = signed_anew("2.snapshot.json", lambda document: document.meta.update({"targets.json": targets}))
    described_anew = MetaFile.from_data(2, snapshot, ["sha256"])
    signed_anew("timestamp.json", lambda document: setattr(document, "snapshot_meta", described_anew))
    with pytest.raises(SiteError, match=r"timestamp.json was changed, or is not signed by this site's keys"):
        give("bb", "canary")


def test_a_document_that_is_signed_but_not_listed_is_refused(site: Path, board: PlainBoard, give: Publish) -> None:
    """Who has a channel's key alone, and not the two that list what is newest, changes nothing in place."""
    give("a")
    (key,) = site.with_name("farm-keys").glob("channel-stable.*")
    file = site / "metadata" / "1.stable.json"
    document: Metadata[Targets] = Metadata.from_bytes(file.read_bytes())
    document.signed.targets.clear()
    file.write_bytes(sign(document, [_signer(key)]))
    with pytest.raises(LengthOrHashMismatchError):
        board.look(site, NAME)
    with pytest.raises(SiteError, match=r"1.stable.json was changed"):
        give("bb")


def test_a_channel_is_the_only_one_that_is_asked_for_its_models(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened:
        role = opened.delegations.roles["stable"]  # type: ignore[index]
    assert (role.terminating, role.paths, role.threshold) == (True, ["stable/*"], 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"signed": {"_type": "root"}, "signatures": []}'])
def test_damaged_documents_are_one_clear_line(site: Path, give: Publish, content: bytes) -> None:
    give("a")
    for path in sorted((site / "metadata").glob("*.json")):
        if path.name in ("1.root.json", "1.snapshot.json", "1.targets.json"):
            continue  # the keys' folder has the first root, and newer ones count
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(SiteError, match=f"{path.name} (is damaged|holds another|was changed)"), open_site(site):
            pass
        path.write_bytes(kept)


def test_an_entry_that_edgevit_did_not_write_is_named(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened:
        opened.channels["stable"].signed.targets[NAME].unrecognized_fields["custom"] = {"version": "1", "percent": 100}
        write(opened.signed({"stable"}))
    with pytest.raises(UpdateError, match=r"stable/farm.onnx: entry.version is '1', expected"):
        give("bb")


@pytest.mark.parametrize("earlier", ["stable", [{"version": 1}]])
def test_an_entry_whose_earlier_models_edgevit_did_not_write_is_named(
    site: Path, give: Publish, earlier: object
) -> None:
    give("a")
    with open_site(site) as opened:
        opened.channels["stable"].signed.targets[NAME].unrecognized_fields["custom"]["earlier"] = earlier
        write(opened.signed({"stable"}))
    with pytest.raises(UpdateError, match=r"stable/farm\.onnx: custom\.earlier.*; publish it under another name$"):
        give("bb")


@pytest.mark.parametrize(
    ("name", "other"), [("timestamp.json", "2.snapshot.json"), ("2.snapshot.json", "1.snapshot.json")]
)
def test_a_document_of_another_kind_or_version_is_named(site: Path, give: Publish, name: str, other: str) -> None:
    give("a")
    shutil.copy(site / "metadata" / other, site / "metadata" / name)
    with pytest.raises(SiteError, match=f"{name} holds another document than its name says; copy the site back from"):
        give("bb")


def test_a_document_that_is_gone_is_named_with_the_remedy(site: Path, give: Publish) -> None:
    give("a")
    (site / "metadata" / "1.stable.json").unlink()
    with pytest.raises(SiteError, match=r"1\.stable\.json cannot be read: No such file.*; copy the site back from"):
        give("bb")


def test_no_private_key_is_in_the_site(site: Path, give: Publish) -> None:
    give("a")
    with open_site(site) as opened:
        rotate(opened)
    for path in site.rglob("*.json"):
        assert "PRIVATE" not in path.read_text()
        json.loads(path.read_text())
    assert not list(site.rglob("*.pem"))


def _upload_order(site: Path) -> Iterable[Path]:
    """Yield files as docs/fleet.md uploads them: models, documents, the timestamp, and new roots last."""

    def rank(path: Path) -> int:
        names = ["targets", "metadata"].index(path.parts[0])
        return names + path.name.endswith("timestamp.json") + 2 * path.name.endswith(".root.json")

    paths = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    return sorted(paths, key=lambda path: (rank(path), path.name))


def _signer(path: Path) -> CryptoSigner:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
