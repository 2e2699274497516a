"""`edgevit fleet check`: what boards would meet at a web server, in a folder, or on a stick."""

import contextlib
import shutil
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request

import pytest

from edgevit import __version__
from edgevit.errors import OptionError, SiteError
from edgevit.fleet import check, hosts
from edgevit.fleet.check import check_site
from edgevit.fleet.create import create_site
from edgevit.fleet.hosts import open_host
from edgevit.fleet.reading import read_first_root
from edgevit.fleet.site import open_site
from edgevit.fleet.upkeep import renew
from edgevit.runtime.update.enrollment import check_site as board_address
from edgevit.runtime.update.fetch import Bounds
from tests.fleet.conftest import Publish, described, expiries
from tests.made_static_web import StaticWeb, serving

Contents = dict[str, bytes]
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def web(site: Path) -> Iterator[StaticWeb]:
    with serving(site) as web:
        yield web


def test_a_sound_site_on_a_sound_server_has_nothing_to_complain_of(
    site: Path, give: Publish, web: StaticWeb, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    give("ccc", "canary")
    days = {name: f"{expires:%Y-%m-%d}" for name, expires in expiries(site).items()}
    assert _found(web.url, site) == [
        ("ok", "missing files are answered as boards need it"),
        ("ok", "the signatures are those of one owner, and the versions fit together"),
        ("ok", f"root is accepted until {days['root']}"),
        *(("ok", f"{name} is accepted until {days[name]}") for name in ("targets", "snapshot", "timestamp", "stable")),
        ("ok", f"stable/farm.onnx version 2: {len(bytes_of['bb'])} bytes, as they were signed"),
        ("ok", f"stable/farm.onnx version 1: {len(bytes_of['a'])} bytes, as they were signed"),
        ("ok", "a broken download goes on where it ended"),
        ("ok", f"canary is accepted until {days['canary']}"),
        ("ok", f"canary/farm.onnx version 1: {len(bytes_of['ccc'])} bytes, as they were signed"),
    ]


@pytest.mark.parametrize("status", [200, 302, 410, 500])
def test_a_server_that_answers_for_missing_files_is_told_of(
    site: Path, give: Publish, web: StaticWeb, status: int
) -> None:
    give("a")
    web.missing = (status, "text/html", b"<html>Welcome</html>")
    found = _found(web.url, site)
    assert [level for level, _ in found] == ["failed"]
    assert found[0][1].startswith(
        f"a missing file, metadata/999999.root.json, is answered with {status}, expected 404 or 403"
    )


def test_a_server_that_has_an_answer_for_every_model_is_told_of(site: Path, give: Publish, web: StaticWeb) -> None:
    give("a")
    web.instead = {".onnx": b"<html>Welcome</html>"}
    (found,) = _found(web.url, site)
    assert found[0] == "failed"
    assert found[1].startswith("a missing file, targets/")


def test_a_server_may_forbid_what_is_missing(site: Path, give: Publish, web: StaticWeb) -> None:
    give("a")
    web.missing = (403, "text/plain", b"no")
    assert {level for level, _ in _found(web.url, site)} == {"ok"}


def test_a_server_without_ranges_is_a_warning(site: Path, give: Publish, web: StaticWeb) -> None:
    give("a")
    web.ranges = False
    warnings = [text for level, text in _found(web.url, site) if level != "ok"]
    assert warnings == ["the server knows no ranges: a broken download begins anew"]


def test_a_download_that_breaks_off_goes_on_as_a_boards_does(site: Path, give: Publish, web: StaticWeb) -> None:
    give("a")
    web.cuts = [100]
    assert {level for level, _ in _found(web.url, site)} == {"ok"}
    assert [path.partition("onnx ")[2] for path in web.targets][1:3] == ["", "bytes=100-"]


def test_a_server_that_is_not_there_is_one_line(site: Path) -> None:
    found = _found("http://127.0.0.1:9/", site)
    assert [level for level, _ in found] == ["failed"]
    assert "cannot be reached" in found[0][1]


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ("timestamp.json", "boards would say: "),
        ("2.targets.json", "boards would say: "),
        ("1.stable.json", "boards that follow stable would say: "),
        ("farm.onnx", "stable/farm.onnx version 1: "),
    ],
)
def test_an_upload_that_is_not_complete_is_told_of(
    site: Path, give: Publish, web: StaticWeb, lacking: str, expected: str
) -> None:
    give("a")
    file = next(path for path in site.rglob("*") if path.name.endswith(lacking))
    file.unlink()
    (failed,) = [text for level, text in _found(web.url, site) if level == "failed"]
    address = f"{web.url}/{file.relative_to(site)}"
    assert failed == f"{expected}{address} is answered with 404: there is no such file, or the upload is not complete"


def test_the_model_that_other_boards_keep_must_be_there_too(
    site: Path, give: Publish, web: StaticWeb, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    (site / "targets" / "stable" / f"{described(bytes_of['a'], 1)['sha256']}.farm.onnx").unlink()
    (failed,) = [text for level, text in _found(web.url, site) if level == "failed"]
    assert failed.startswith("stable/farm.onnx version 1: ")
    assert failed.endswith("is answered with 404: there is no such file, or the upload is not complete")


def test_a_changed_model_is_told_of(site: Path, give: Publish, web: StaticWeb) -> None:
    give("a")
    (file,) = (site / "targets" / "stable").iterdir()
    file.write_bytes(b"X" + file.read_bytes()[1:])
    (failed,) = [text for level, text in _found(web.url, site) if level == "failed"]
    assert failed.startswith("stable/farm.onnx version 1: a document of the site is not what was signed")


def test_a_model_that_is_larger_than_a_board_takes_is_told_of(
    site: Path, give: Publish, web: StaticWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("a")
    monkeypatch.setattr(check, "Bounds", lambda: Bounds(largest=1000))
    (failed,) = [text for level, text in _found(web.url, site) if level == "failed"]
    assert failed.endswith(" bytes, more than the 1,000 that a board takes")
    # the server is asked whether it knows ranges, and for no more
    assert [path for path in web.asked if path.startswith("/targets/stable/") and "bytes=" not in path] == []


def test_an_expired_site_is_told_of(tmp_path: Path) -> None:
    create_site(tmp_path / "old", now=NOW - timedelta(days=31))
    found = _found(str(tmp_path / "old"), tmp_path / "old")
    assert found[-1][0] == "failed"
    assert found[-1][1].startswith("boards would say: the site's signatures have expired (timestamp.json is expired")


@pytest.mark.parametrize("spare", [timedelta(days=7), timedelta(days=6)])
def test_what_expires_soon_is_a_warning(site: Path, spare: timedelta) -> None:
    soon = NOW + spare
    with open_site(site) as opened:
        renew(opened, soon)
    warnings = [text for level, text in _found(str(site), site) if level == "warning"]
    assert warnings == [
        f"{name} expires on {soon:%Y-%m-%d}; run `edgevit fleet renew`, and upload"
        for name in ("targets", "snapshot", "timestamp")
    ]


def test_what_expires_in_a_week_and_a_second_is_no_warning_yet(site: Path) -> None:
    with open_site(site) as opened:
        renew(opened, NOW + timedelta(days=7, seconds=1))
    assert {level for level, _ in _found(str(site), site)} == {"ok"}


def test_a_root_that_expires_within_a_year_is_a_warning(tmp_path: Path) -> None:
    place = tmp_path / "aged"
    create_site(place, now=NOW - timedelta(days=3300), expires=NOW + timedelta(days=30))
    (warning,) = [text for level, text in _found(str(place), place) if level == "warning"]
    assert warning.startswith("root expires on ")
    assert warning.endswith("; run `edgevit fleet rotate`, and upload")


def test_another_owners_site_is_told_of_if_the_root_is_given(site: Path, give: Publish, tmp_path: Path) -> None:
    give("a")
    create_site(tmp_path / "other")
    (failed,) = [text for level, text in _found(str(site), tmp_path / "other") if level == "failed"]
    assert failed.startswith("boards would say: the site is not signed with the keys that this board trusts")


def test_a_root_that_was_changed_is_refused(site: Path) -> None:
    root = site.with_name("farm-keys") / "1.root.json"
    root.write_bytes(root.read_bytes().replace(b'"threshold":1', b'"threshold":2'))
    with pytest.raises(SiteError, match=r"1.root.json was changed, or is not signed"):
        read_first_root(root)


def test_without_a_root_it_says_that_it_believed_the_site(site: Path) -> None:
    found = [(finding.level, finding.text) for finding in check_site(open_host(str(site)), None, NOW)]
    assert found[0] == ("warning", "whose site it is was not checked; give --root KEYS/1.root.json")
    assert {level for level, _ in found[1:]} == {"ok"}


def test_an_address_without_a_site_is_told_of(web: StaticWeb) -> None:
    *_, last = check_site(open_host(f"{web.url}/elsewhere/"), None, NOW)
    assert last.level == "failed"
    assert last.text.startswith(f"no site is at {web.url}/elsewhere: ")


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
@pytest.mark.parametrize("name", ["stick", "my stick 100%"])
def test_a_folder_or_a_stick_can_be_checked(site: Path, give: Publish, tmp_path: Path, form: str, name: str) -> None:
    give("a")
    place = shutil.copytree(site, tmp_path / name)
    found = _found(form.format(quote(str(place)) if form.startswith("file:") else place), site)
    assert {level for level, _ in found} == {"ok"}
    assert any(text.startswith("stable/farm.onnx version 1: ") for _, text in found)


def test_a_private_key_among_the_files_is_told_of(site: Path, give: Publish) -> None:
    give("a")
    (key,) = site.with_name("farm-keys").glob("root.*")
    shutil.copy(key, site / "metadata")
    found = _found(str(site), site)
    assert [level for level, _ in found] == ["failed"]
    assert f"{site / 'metadata' / key.name} looks like a private key" in found[0][1]


def test_a_server_is_asked_by_name_for_the_second_half_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str], float]] = []

    @contextlib.contextmanager
    def answer(request: Request, timeout: float) -> Iterator[types.SimpleNamespace]:
        asked.append((request.full_url, dict(request.header_items()), timeout))
        yield types.SimpleNamespace(status=206, headers={"Content-Range": "bytes 50-100/101"})

    monkeypatch.setattr(hosts, "urlopen", answer)
    (finding,) = open_host("https://farm.example/models/").resumes("targets/stable/a.onnx", 101)
    assert (finding.level, finding.text) == ("ok", "a broken download goes on where it ended")
    headers = {"User-agent": f"edgevit/{__version__}", "Range": "bytes=50-"}
    assert asked == [("https://farm.example/models/targets/stable/a.onnx", headers, 30)]
    (finding,) = open_host("https://farm.example/models").resumes("targets/stable/a.onnx", 102)
    assert (finding.level, finding.text[:31]) == ("warning", "the server knows no ranges: a b")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://host/farm", "the site is 'ftp://host/farm', expected the address of a folder"),
        ("https://host/farm?at=1", "expected the address of a folder"),
        ("https://host/farm#a", "expected the address of a folder"),
        ("https://me:secret@host/farm", "holds a name or a password"),
        # media would be a host, and /stick the folder
        ("file://media/stick", "expected the address of a folder"),
        ("https://host/fa\trm", "expected the address of a folder"),
        ("https://me:secret@[host/farm", r"the site is '\[host/farm', which is no address"),
    ],
)
def test_addresses_that_boards_do_not_follow_are_refused(address: str, said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        open_host(address)
    assert "secret" not in str(caught.value)
    with pytest.raises(OptionError, match=said):
        board_address(address)


@pytest.mark.parametrize("address", ["FILE:///media/stick/", "file://localhost/media/stick", "file:/media/stick"])
def test_scheme_of_a_stick_may_be_written_large(address: str) -> None:
    assert board_address(address) == open_host(address).address == "file:///media/stick"


@pytest.mark.parametrize(
    "address", [" https://host/farm", "https://host/farm\n", "HTTPS://host/farm/ ", "  HTTPS://host/farm//"]
)
def test_blanks_around_an_address_and_large_letters_change_nothing(address: str) -> None:
    assert board_address(address) == open_host(address).address == "https://host/farm"


@pytest.mark.parametrize("address", ["file:///", "file:/", "file://localhost/", " FILE:///"])
def test_whole_machine_is_a_folder_and_not_the_current_one(address: str) -> None:
    assert board_address(address) == open_host(address).address == board_address("/") == "file:///"
    assert board_address(board_address(address)) == "file:///"


def _found(address: str, owner: Path) -> list[tuple[str, str]]:
    root = (owner.with_name(f"{owner.name}-keys") / "1.root.json").read_bytes()
    return [(finding.level, finding.text) for finding in check_site(open_host(address), root, NOW)]
