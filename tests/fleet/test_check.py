"""`edgevit fleet check`: what boards would meet at a web server, in a folder, or on a stick."""

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.fleet.check import check_site
from edgevit.fleet.create import create_site
from edgevit.fleet.hosts import open_host
from edgevit.fleet.site import open_site
from edgevit.fleet.upkeep import renew
from tests.fleet.conftest import Publish, described

Serve = Callable[..., str]
Contents = dict[str, bytes]
NOW = datetime.now(UTC)


class StaticFiles(SimpleHTTPRequestHandler):
    """A web server as it should be, which can be told to be another."""

    missing: int = 404
    """What is answered for a file that is not there; 200 gives a page."""
    ranges = True
    cuts = False
    """Break off in the middle of models."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_response(self.missing)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")
            return
        content = path.read_bytes()
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if self.ranges and self.headers["Range"]:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            content = content[start:]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.cuts and path.suffix == ".onnx" else content)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def serve(site: Path) -> Iterator[Serve]:
    servers = []

    def start(folder: Path = site, **changes: object) -> str:
        kind = type("Changed", (StaticFiles,), changes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=os.fspath(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_sound_site_on_a_sound_server_has_nothing_to_complain_of(
    site: Path, give: Publish, serve: Serve, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    give("ccc", "canary")
    day = f"{NOW + timedelta(days=30):%Y-%m-%d}"
    assert _found(serve(), site) == [
        ("ok", "missing files are answered as boards need it"),
        ("ok", "the signatures are those of one owner, and the versions fit together"),
        ("ok", f"root is accepted until {NOW + timedelta(days=3650):%Y-%m-%d}"),
        *(("ok", f"{name} is accepted until {day}") for name in ("targets", "snapshot", "timestamp", "stable")),
        ("ok", f"stable/farm.onnx version 2: {len(bytes_of['bb'])} bytes, as they were signed"),
        ("ok", f"stable/farm.onnx version 1: {len(bytes_of['a'])} bytes, as they were signed"),
        ("ok", "a broken download goes on where it ended"),
        ("ok", f"canary is accepted until {day}"),
        ("ok", f"canary/farm.onnx version 1: {len(bytes_of['ccc'])} bytes, as they were signed"),
    ]


@pytest.mark.parametrize("status", [200, 302, 410, 500])
def test_a_server_that_answers_for_missing_files_is_told_of(
    site: Path, give: Publish, serve: Serve, status: int
) -> None:
    give("a")
    found = _found(serve(missing=status), site)
    assert [level for level, _ in found] == ["failed"]
    assert found[0][1].startswith(f"a missing file, metadata/999999.root.json, is answered with {status}, and boards")


def test_a_server_may_forbid_what_is_missing(site: Path, give: Publish, serve: Serve) -> None:
    give("a")
    assert {level for level, _ in _found(serve(missing=403), site)} == {"ok"}


def test_a_server_without_ranges_is_a_warning(site: Path, give: Publish, serve: Serve) -> None:
    give("a")
    warnings = [text for level, text in _found(serve(ranges=False), site) if level != "ok"]
    assert warnings == ["the server knows no ranges: a broken download begins anew"]


def test_a_download_that_breaks_off_is_told_of(site: Path, give: Publish, serve: Serve) -> None:
    give("a")
    failed = [text for level, text in _found(serve(cuts=True), site) if level == "failed"]
    assert len(failed) == 1
    assert failed[0].startswith("stable/farm.onnx version 1: it cannot be fetched (")


def test_a_server_that_is_not_there_is_one_line(site: Path, serve: Serve) -> None:
    address = serve()
    port = address.rpartition(":")[2]
    found = _found(f"http://127.0.0.1:{9 if port != '9/' else 10}/", site)
    assert [level for level, _ in found] == ["failed"]
    assert "cannot be reached" in found[0][1]


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ("timestamp.json", "boards refuse the site: is answered with 404; upload the site again"),
        ("2.targets.json", "boards refuse the site: is answered with 404"),
        ("1.stable.json", "boards refuse channel stable: is answered with 404"),
        ("farm.onnx", "stable/farm.onnx version 1: is answered with 404"),
    ],
)
def test_an_upload_that_is_not_complete_is_told_of(
    site: Path, give: Publish, serve: Serve, tmp_path: Path, lacking: str, expected: str
) -> None:
    give("a")
    half = shutil.copytree(site, tmp_path / "half")
    next(path for path in half.rglob("*") if path.name.endswith(lacking)).unlink()
    (failed,) = [text for level, text in _found(serve(half), site) if level == "failed"]
    assert failed.startswith(expected)


def test_the_model_that_other_boards_keep_must_be_there_too(
    site: Path, give: Publish, serve: Serve, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    (site / "targets" / "stable" / f"{described(bytes_of['a'], 1)['sha256']}.farm.onnx").unlink()
    (failed,) = [text for level, text in _found(serve(), site) if level == "failed"]
    assert failed.startswith("stable/farm.onnx version 1: is answered with 404")


def test_a_changed_model_is_told_of(site: Path, give: Publish, serve: Serve) -> None:
    give("a")
    (file,) = (site / "targets" / "stable").iterdir()
    file.write_bytes(b"X" + file.read_bytes()[1:])
    (failed,) = [text for level, text in _found(serve(), site) if level == "failed"]
    assert failed == "stable/farm.onnx version 1: it is not what was signed; upload the site again, " + (
        "metadata/timestamp.json last"
    )


def test_an_expired_site_is_told_of(tmp_path: Path) -> None:
    create_site(tmp_path / "old", now=NOW - timedelta(days=31))
    found = _found(str(tmp_path / "old"), tmp_path / "old")
    assert found[-1][0] == "failed"
    assert "it has expired (timestamp.json is expired); run `edgevit fleet renew`, and upload" in found[-1][1]


def test_what_expires_soon_is_a_warning(site: Path) -> None:
    soon = NOW + timedelta(days=6)
    with open_site(site) as opened:
        renew(opened, soon)
    warnings = [text for level, text in _found(str(site), site) if level == "warning"]
    assert warnings == [
        f"{name} expires on {soon:%Y-%m-%d}; run `edgevit fleet renew`, and upload"
        for name in ("targets", "snapshot", "timestamp")
    ]


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
    assert failed.startswith("boards refuse the site: ")


def test_without_a_root_it_says_that_it_believed_the_site(site: Path) -> None:
    found = [(finding.level, finding.text) for finding in check_site(open_host(str(site)), None, NOW)]
    assert found[0] == ("warning", "whose site it is was not checked; give --root KEYS/1.root.json")
    assert {level for level, _ in found[1:]} == {"ok"}


def test_an_address_without_a_site_is_told_of(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    *_, last = check_site(open_host(serve(tmp_path / "empty")), None, NOW)
    assert last.level == "failed"
    assert "metadata/1.root.json is answered with 404" in last.text


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_a_folder_or_a_stick_can_be_checked(site: Path, give: Publish, form: str) -> None:
    give("a")
    found = _found(form.format(site), site)
    assert {level for level, _ in found} == {"ok"}
    assert any(text.startswith("stable/farm.onnx version 1: ") for _, text in found)


def test_a_private_key_among_the_files_is_told_of(site: Path, give: Publish) -> None:
    give("a")
    (key,) = site.with_name("farm-keys").glob("root.*")
    shutil.copy(key, site / "metadata")
    found = _found(str(site), site)
    assert [level for level, _ in found] == ["failed"]
    assert f"{site / 'metadata' / key.name} looks like a private key" in found[0][1]


def test_other_addresses_are_refused() -> None:
    with pytest.raises(OptionError, match="the site is 'ftp://host/farm', expected https://"):
        open_host("ftp://host/farm")


def _found(address: str, owner: Path) -> list[tuple[str, str]]:
    root = (owner.with_name(f"{owner.name}-keys") / "1.root.json").read_bytes()
    return [(finding.level, finding.text) for finding in check_site(open_host(address), root, NOW)]
