"""What a board says of a site's documents and files that are not what they should be."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from tuf.api import exceptions

from edgevit.errors import UpdateError
from edgevit.runtime.update.fetch import SiteFetcher
from edgevit.runtime.update.offer import Edition
from edgevit.runtime.update.site import check_root, explain, fetch_model
from tests.made_signed_site import MadeSite
from tests.made_update_board import BOUNDS, Make, make_board

CONTENT = b"a new model" * 150
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_first_root_signs_itself(site: MadeSite) -> None:
    check_root(site.first_root)


@pytest.mark.parametrize("kind", ["no document", "another document", "changed", "unsigned"])
def test_what_is_no_root_is_refused_with_where_to_find_it(site: MadeSite, kind: str) -> None:
    document = json.loads(site.first_root)
    changed = {"signed": document["signed"] | {"expires": "2040-01-01T00:00:00Z"}, "signatures": document["signatures"]}
    text, why = {
        "no document": ("hello", "Failed to deserialize JSON"),
        "another document": ((site.metadata / "timestamp.json").read_text(), "it is another document"),
        "changed": (json.dumps(changed), "root was signed by 0/1 keys"),
        "unsigned": (json.dumps(document | {"signatures": []}), "root was signed by 0/1 keys"),
    }[kind]
    with pytest.raises(UpdateError, match=rf"^it is no 1\.root\.json of a site \({why}.*\); copy it from the site's"):
        check_root(text)


def test_model_that_the_disk_does_not_take_is_one_line(site: MadeSite, tmp_path: Path) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    address = site.folder.as_uri()
    enrollment = make_board(tmp_path / "board", address, site.first_root).enrollment
    part = tmp_path / "part.onnx"
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UpdateError, match=f"^{part} cannot be written: .*symbolic links; free some space$"):
        fetch_model(enrollment, address, SiteFetcher(BOUNDS), Edition(1, SHA256, len(CONTENT)), part)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("any_bytes")
def test_root_that_holds_no_text_is_refused_in_one_line(site: MadeSite, make: Make) -> None:
    board = make(root="{\udcff")
    assert "does not answer as a site does" in (board.check().error or "")


HTTP = "http://farm/metadata/5.stable.json is answered with"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.ExpiredMetadataError("timestamp.json is expired"), "the site's signatures have expired (timestamp"),
        (exceptions.BadVersionNumberError("4 < 5"), "the site is older than what this board has seen, or mixed with"),
        (
            exceptions.UnsignedMetadataError("0/1 keys"),
            "the site is not signed with the keys that this board trusts (0/1 keys); is http://farm your site?",
        ),
        (exceptions.DownloadHTTPError(f"{HTTP} 403", 403), f"{HTTP} 403: there is no such file, or the upload is not"),
        (exceptions.DownloadHTTPError(f"{HTTP} 404", 404), f"{HTTP} 404: there is no such file, or the upload is not"),
        (exceptions.DownloadHTTPError(f"{HTTP} 405", 405), f"{HTTP} 405, expected 404 for what is missing; `edgevit"),
        (
            exceptions.DownloadLengthMismatchError("long"),
            "a document of the site is not what was signed (long);",
        ),
        (
            exceptions.LengthOrHashMismatchError("other"),
            "a document of the site is not what was signed (other);",
        ),
        (exceptions.SlowRetrievalError("it takes longer than 9 s"), "it takes longer than 9 s"),
        (exceptions.RepositoryError("odd"), "http://farm does not answer as a site does: odd"),
    ],
)
def test_each_trouble_is_told_in_words_of_a_farm(error: Exception, said: str) -> None:
    assert explain(error, "http://farm", 0.0).startswith(said)


@pytest.mark.parametrize(
    ("seen_s", "told"),
    [
        # 2027-03-01, two o'clock, and one second before and after that day, everywhere the day in Greenwich
        (1803866400.0, "today is 2027-03-01 here);"),
        (1803945599.0, "today is 2027-03-01 here);"),
        (1803945600.0, "today is 2027-03-01 here, and 2027-03-02 was seen before);"),
    ],
)
def test_expiry_names_the_day_here_and_the_latest_that_counts(
    monkeypatch: pytest.MonkeyPatch, seen_s: float, told: str
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert told in explain(exceptions.ExpiredMetadataError("old"), "http://farm", 1803902400.0, seen_s)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.usefixtures("any_bytes")
def test_disk_without_links_is_named(site: MadeSite, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT has none, and The Update Framework's client makes one."""

    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    site.publish("stable/farm.onnx", CONTENT)
    board = make(model=b"an old model")
    monkeypatch.setattr(os, "symlink", refuse)
    state = board.check()
    assert state.state == "failed"
    assert (state.error or "").endswith(
        "Operation not permitted; it needs a little space, and a disk with links such as ext4 has"
    )
    assert board.model == b"an old model"
