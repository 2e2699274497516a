"""Transfers: taken up where they broke off, from web servers of any kind and from sticks, and never without bounds."""

import errno
import hashlib
import io
import socket
import threading
import time
import types
from pathlib import Path

import pytest
import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError

from edgevit.artifact import files
from edgevit.runtime.update.fetch import Bounds, SiteFetcher
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.made_update_board import BOUNDS, Make
from tests.ports import refusing_port

CONTENT = bytes(number * number % 251 for number in range(400_000))
OLD = b"an old model"
NAME = f"targets/stable/{hashlib.sha256(CONTENT).hexdigest()}.farm.onnx"


@pytest.fixture
def address(web: StaticWeb) -> str:
    path = web.folder / NAME
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return f"{web.url}/{NAME}"


def fetcher() -> SiteFetcher:
    return SiteFetcher(BOUNDS)


def test_transfer_cut_three_times_fetches_no_more_than_a_tenth_twice(
    web: StaticWeb, address: str, tmp_path: Path
) -> None:
    web.cuts = [150_000, 100_000, 30_000]
    fetcher().resume(address, tmp_path / "part", len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert len(web.asked) == 4
    assert web.sent <= 1.1 * len(CONTENT)
    ranges = [int(path.partition("bytes=")[2].rstrip("-")) for path in web.asked[1:]]
    assert ranges == [150_000, 250_000, 280_000]


def test_transfer_goes_on_in_the_next_check(web: StaticWeb, address: str, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT[:399_000])
    fetcher().resume(address, part, len(CONTENT))
    assert part.read_bytes() == CONTENT
    assert web.sent == 1000
    # what is whole is not asked for again
    fetcher().resume(address, part, len(CONTENT))
    assert len(web.asked) == 1


def test_server_that_knows_no_ranges_begins_anew(web: StaticWeb, address: str, tmp_path: Path) -> None:
    web.ranges, web.cuts = False, [150_000]
    fetcher().resume(address, tmp_path / "part", len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert web.sent == 550_000


def test_part_that_is_longer_than_the_file_is_fetched_anew(web: StaticWeb, address: str, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"x" * 500_000)
    fetcher().resume(address, part, len(CONTENT))
    assert part.read_bytes() == CONTENT


def test_server_whose_file_is_shorter_than_what_came_is_asked_from_the_start(
    web: StaticWeb, address: str, tmp_path: Path
) -> None:
    (tmp_path / "part").write_bytes(b"x" * 300_000)
    web.instead["farm.onnx"] = b"short"
    with pytest.raises(DownloadLengthMismatchError, match="has 5 bytes, expected 400000"):
        fetcher().resume(address, tmp_path / "part", len(CONTENT))


def test_transfer_that_brings_nothing_is_given_up(web: StaticWeb, address: str, tmp_path: Path) -> None:
    web.cuts = [0] * 50
    with pytest.raises(
        DownloadError, match=r"^the transfer broke off \(IncompleteRead\(0 bytes read, 400000 more expected\)\)$"
    ):
        fetcher().resume(address, tmp_path / "part", len(CONTENT))
    assert len(web.asked) == 6


def test_bytes_beyond_the_signed_length_are_not_kept(web: StaticWeb, address: str, tmp_path: Path) -> None:
    web.instead["farm.onnx"] = CONTENT + b"more" * 100_000
    with pytest.raises(DownloadLengthMismatchError, match="has more than 400000 bytes"):
        fetcher().resume(address, tmp_path / "part", len(CONTENT))
    assert (tmp_path / "part").stat().st_size == 0


def test_whole_time_is_bound_though_bytes_keep_coming(tmp_path: Path) -> None:
    """A byte every twentieth of a second would meet any bound of the time between two."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connected, _ = listener.accept()
        with connected:
            connected.recv(65536)
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")
            while not over.wait(0.05):
                try:
                    connected.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    begun_s = time.monotonic()
    try:
        with pytest.raises(SlowRetrievalError, match="takes longer than 1 s"):
            SiteFetcher(Bounds(gap_s=10, total_s=1)).resume(
                f"http://127.0.0.1:{listener.getsockname()[1]}/", tmp_path / "part", 400_000
            )
        assert time.monotonic() - begun_s > 1
    finally:
        over.set()
        listener.close()
        thread.join()


def test_nobody_who_answers_is_one_clear_line(tmp_path: Path) -> None:
    with (
        refusing_port() as port,
        pytest.raises(
            DownloadError, match=rf"^127.0.0.1:{port} cannot be reached \(\[Errno 111\] Connection refused\)$"
        ),
    ):
        next(fetcher().fetch(f"http://127.0.0.1:{port}/metadata/timestamp.json"))


def test_stick_is_read_as_a_server_is(web: StaticWeb, address: str, tmp_path: Path) -> None:
    part, url = tmp_path / "part", (web.folder / NAME).as_uri()
    part.write_bytes(CONTENT[:250_000])
    fetcher().resume(url, part, len(CONTENT))
    assert part.read_bytes() == CONTENT
    with pytest.raises(DownloadHTTPError) as caught:
        next(fetcher().fetch((web.folder / "metadata" / "9.root.json").as_uri()))
    assert caught.value.status_code == 404
    with pytest.raises(DownloadError, match="cannot be read"):
        next(fetcher().fetch(Path("/dev/zero").as_uri()))
    assert web.asked == []


@pytest.mark.usefixtures("any_bytes")
def test_check_from_a_stick_needs_no_network(site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    stick = site.copy(tmp_path / "a stick")
    board = make(model=OLD)
    assert board.check(address=stick.as_uri()).state == "confirmed"
    assert web.asked == []
    # and the board goes on following its site
    assert board.check().state == "current"
    assert web.asked != []


@pytest.mark.usefixtures("any_bytes")
@pytest.mark.parametrize("missing", [(404, "text/plain", b""), (403, "text/xml", b""), (200, "text/html", b"<html>")])
def test_static_hosts_of_all_kinds_are_understood(
    site: MadeSite, web: StaticWeb, make: Make, missing: tuple[int, str, bytes]
) -> None:
    """Buckets answer 403 for what is missing, hosts of web applications 200 and a page."""
    site.publish("stable/farm.onnx", CONTENT)
    web.missing = missing
    assert make(model=OLD).check().state == "confirmed"


@pytest.mark.usefixtures("any_bytes")
@pytest.mark.parametrize("status", [410, 500])
def test_host_that_answers_otherwise_ends_the_check_with_the_remedy(
    site: MadeSite, web: StaticWeb, make: Make, status: int
) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    web.missing = (status, "text/html", b"<html>")
    board = make(model=OLD)
    state = board.check()
    assert state.state == "failed"
    assert state.error is not None
    assert state.error.endswith(
        f"2.root.json is answered with {status}, expected 404 for what is missing; "
        "`edgevit fleet check` tells whether a web server suits"
    )
    assert board.model == OLD


@pytest.mark.usefixtures("any_bytes")
def test_login_page_of_a_guest_network_is_no_site(site: MadeSite, web: StaticWeb, make: Make, tmp_path: Path) -> None:
    web.missing, web.folder = (200, "text/html; charset=utf-8", b"<html>Welcome"), tmp_path / "nothing"
    assert (make(model=OLD).check().error or "").endswith(
        "timestamp.json is answered with 200: there is no such file, or the upload is not complete"
    )


@pytest.mark.usefixtures("any_bytes")
def test_site_that_answers_rubbish_is_told_of(site: MadeSite, web: StaticWeb, make: Make) -> None:
    web.instead["timestamp.json"] = b'{"signed": "nothing"}'
    state = make(model=OLD).check()
    assert state.state == "failed"
    assert "does not answer as a site does" in (state.error or "")


@pytest.mark.usefixtures("any_bytes")
def test_part_that_a_power_cut_damaged_is_fetched_anew_at_once(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    board = make(model=OLD)
    board.service.model.parent.joinpath(f"farm.next-{hashlib.sha256(CONTENT).hexdigest()[:16]}.onnx").write_bytes(
        b"\0" * 300_000
    )
    assert board.check().state == "confirmed"
    assert board.model == CONTENT
    assert web.sent == 500_000


@pytest.mark.usefixtures("any_bytes")
def test_model_that_is_larger_than_a_board_takes_is_not_fetched(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", CONTENT)
    state = make(model=OLD).check(bounds=Bounds(largest=399_999))
    assert state.error == "the model has 400,000 bytes, more than the 399,999 that a board takes"
    assert web.targets == []
    assert make(model=OLD).check(bounds=Bounds(largest=400_000)).state == "confirmed"


def test_server_that_answers_416_to_everything_is_given_up_at_once(web: StaticWeb, tmp_path: Path) -> None:
    web.missing = (416, "text/plain", b"")
    with pytest.raises(DownloadHTTPError, match="is answered with 416"):
        fetcher().resume(f"{web.url}/targets/none.onnx", tmp_path / "part", 9)
    (tmp_path / "part").write_bytes(b"begun")
    with pytest.raises(DownloadHTTPError, match="is answered with 416"):
        fetcher().resume(f"{web.url}/targets/none.onnx", tmp_path / "part", 9)
    assert [path.partition(" ")[2] for path in web.asked] == ["", "bytes=5-", ""]


def test_link_in_the_place_of_the_part_is_not_followed(address: str, tmp_path: Path) -> None:
    """The check runs as root: whoever may write to the folder could have it overwrite any file."""
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "part").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        fetcher().resume(address, tmp_path / "part", len(CONTENT))
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://[::1"])
def test_redirection_to_what_is_no_web_server_is_an_error_of_one_line(
    web: StaticWeb, tmp_path: Path, place: str
) -> None:
    web.missing = (302, "text/plain", b"")
    web.headers = {"Location": place}
    with pytest.raises(DownloadError) as found:
        fetcher().resume(f"{web.url}/targets/none.onnx", tmp_path / "part", 9)
    assert "\n" not in str(found.value)
    assert len(web.asked) == BOUNDS.tries
    assert not (tmp_path / "part").exists()


def test_redirection_to_an_endless_name_is_a_short_line(web: StaticWeb, tmp_path: Path) -> None:
    web.missing, web.headers = (302, "text/plain", b""), {"Location": f"http://{'a' * 9000}/x"}
    with pytest.raises(DownloadError) as found:
        fetcher().resume(f"{web.url}/targets/none.onnx", tmp_path / "part", 9)
    assert len(str(found.value)) < 300


def test_pause_is_made_before_a_broken_transfer_is_taken_up(web: StaticWeb, address: str, tmp_path: Path) -> None:
    web.cuts, slept = [150_000, 100_000], list[float]()
    SiteFetcher(Bounds(pause_s=3.5), slept.append).resume(address, tmp_path / "part", len(CONTENT))
    assert slept == [3.5, 3.5]


def test_slow_stick_is_bound_in_time_too(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    with pytest.raises(SlowRetrievalError, match=r"there takes longer than -1 s$"):
        SiteFetcher(Bounds(total_s=-1.0)).resume((tmp_path / "there").as_uri(), tmp_path / "part", len(CONTENT))
    assert (tmp_path / "part").read_bytes() == b""


def test_stick_that_breaks_while_it_is_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "open_regular", lambda path: Worn())
    with pytest.raises(DownloadError, match=r"^/stick/there cannot be read: Input/output error$"):
        next(fetcher().fetch("file:///stick/there"))


def test_check_whose_time_is_over_asks_nobody(web: StaticWeb, address: str, tmp_path: Path) -> None:
    with pytest.raises(SlowRetrievalError, match=r"farm\.onnx takes longer than -1 s$"):
        SiteFetcher(Bounds(total_s=-1.0)).resume(address, tmp_path / "part", len(CONTENT))
    assert web.asked == []


def test_connection_is_closed_though_its_error_is_still_held(
    web: StaticWeb, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, close, now_s = list[int](), urllib3.HTTPResponse.close, [50.0]

    def noted(response: urllib3.HTTPResponse) -> None:
        closed.append(response.status)
        close(response)

    monkeypatch.setattr(urllib3.HTTPResponse, "close", noted)
    monkeypatch.setattr("edgevit.runtime.update.fetch.time", types.SimpleNamespace(monotonic=lambda: now_s[0]))
    fetcher = SiteFetcher(Bounds(total_s=9.0))
    with pytest.raises(DownloadHTTPError) as missing:
        next(fetcher.fetch(f"{web.url}/targets/none.onnx"))
    assert (missing.value.status_code, closed) == (404, [404])
    chunks = fetcher.fetch(address)
    next(chunks)
    now_s[0] = 59.5
    with pytest.raises(SlowRetrievalError) as late:
        next(chunks)
    assert (str(late.value), closed) == (f"{address} takes longer than 9 s", [404, 200])
