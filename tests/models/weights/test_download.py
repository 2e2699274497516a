"""Downloads against a server on this machine: resumed, verified, and refused in one line."""

import dataclasses
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevit.errors import DownloadError
from edgevit.models.weights.download import cache_dir, fetch, sha256_of
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.spec import WeightsSpec
from tests.ports import refusing_port

CONTENT = bytes(range(256)) * 8000
"""About 2 MB, so that it does not pass in one piece."""
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """One file over HTTP, with byte ranges, that can break off."""

    content: bytes = CONTENT
    content_type: str = "application/octet-stream"
    break_after: int = 1_500_000
    """Bytes to send before the connection is closed, in the next `breaks` answers."""
    breaks: int = 0
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request."""
    port: int = 0

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Type", self.content_type)
        handler.send_header("Content-Length", str(len(self.content) - start))
        if wanted:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.end_headers()
        breaking, self.breaks = self.breaks > 0, max(0, self.breaks - 1)
        handler.wfile.write(self.content[start : self.break_after if breaking else None])
        if breaking:
            handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "home"))
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802, the base class's name
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def _entry(port: int, sha256: str | None = None) -> WeightsSpec:
    known = get_spec("efficientvit_b1").weights[0]
    return dataclasses.replace(known, url=f"http://127.0.0.1:{port}/weights.pt", sha256=sha256)


def _last_start(server: Server) -> int:
    """Return the first byte that the last request asked for."""
    return int((server.ranges[-1] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def _refusal(entry: WeightsSpec) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(entry, retries=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_file_is_downloaded_once_and_its_digest_recorded(server: Server) -> None:
    path = fetch(_entry(server.port))
    assert path == cache_dir() / "efficientvit_b1_r224.pt"
    assert path.read_bytes() == CONTENT
    assert (path.parent / f"{path.name}.sha256").read_text() == f"{DIGEST}  {path.name}\n"
    assert fetch(_entry(server.port)) == path
    assert server.ranges == [None]
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.sha256"]


def test_broken_download_is_resumed_where_it_stopped(server: Server) -> None:
    server.breaks = 1
    assert "the connection to 127.0.0.1 broke off; try again to resume" in _refusal(_entry(server.port))
    assert not (cache_dir() / "efficientvit_b1_r224.pt").exists()
    assert fetch(_entry(server.port), retries=0).read_bytes() == CONTENT
    assert _last_start(server) >= 1_000_000


def test_broken_connection_is_tried_again_in_the_same_call(server: Server) -> None:
    server.breaks = 1
    assert fetch(_entry(server.port), retries=1).read_bytes() == CONTENT
    assert _last_start(server) >= 1_000_000


def test_damaged_cache_is_noticed(server: Server) -> None:
    path = fetch(_entry(server.port))
    path.write_bytes(CONTENT[:-1] + b"!")
    message = _refusal(_entry(server.port))
    assert f"{path} is damaged: its SHA-256 is {sha256_of(path)[:12]}..., expected {DIGEST[:12]}..." in message
    assert message.endswith("delete it to download it again")
    path.unlink()
    assert fetch(_entry(server.port)).read_bytes() == CONTENT


def test_digest_of_the_registry_counts(server: Server) -> None:
    assert fetch(_entry(server.port, sha256=DIGEST)).read_bytes() == CONTENT
    assert "is damaged" in _refusal(_entry(server.port, sha256="0" * 64))


def test_beginning_of_a_digest_is_what_some_publishers_state(server: Server) -> None:
    assert fetch(_entry(server.port, sha256=DIGEST[:8])).read_bytes() == CONTENT
    assert "is damaged" in _refusal(_entry(server.port, sha256="0" * 8))
    # stated in the names of the files at their source
    assert get_spec("deit_tiny_patch16_224").weights[0].sha256 == "a1311bcf"
    assert get_spec("deit_small_patch16_224").weights[0].sha256 == "cd65a155"


def test_what_is_not_pinned_is_said_once_with_its_digest(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        path = fetch(_entry(server.port))
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "efficientvit_b1_r224.pt is not pinned" in told
    assert f"{DIGEST}, and is remembered in {path}.sha256" in told


def test_what_is_pinned_is_not_spoken_of(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    fetch(_entry(server.port, sha256=DIGEST))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_wrong_download_is_not_kept(server: Server) -> None:
    message = _refusal(_entry(server.port, sha256="0" * 64))
    assert f"has the SHA-256 {DIGEST[:12]}..., expected 000000000000..." in message
    assert not list(cache_dir().iterdir())


def test_page_instead_of_weights_is_not_kept(server: Server) -> None:
    server.content = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"
    server.content_type = "text/html"
    message = _refusal(_entry(server.port))
    assert "answered with an HTML page, not weights (a quota or a login?)" in message
    assert message.endswith(f"put the file at {cache_dir() / 'efficientvit_b1_r224.pt'} by hand, or pass weights=FILE")
    assert not list(cache_dir().iterdir())


@pytest.mark.parametrize(("status", "text"), [(404, "404 Not Found"), (401, "401 Unauthorized"), (503, "503 Service")])
def test_refusal_by_the_server_is_said(server: Server, status: int, text: str) -> None:
    server.status = status
    assert f"127.0.0.1 answered {text}" in _refusal(_entry(server.port))


def test_no_connection_says_what_to_do(server: Server) -> None:
    with refusing_port() as port:
        message = _refusal(_entry(port))
    assert message == (
        f"cannot download http://127.0.0.1:{port}/weights.pt: no connection to 127.0.0.1; try again to resume, "
        f"put the file at {cache_dir() / 'efficientvit_b1_r224.pt'} by hand, or pass weights=FILE"
    )


def test_file_put_there_by_hand_is_used(server: Server) -> None:
    cache_dir().mkdir(parents=True)
    (cache_dir() / "efficientvit_b1_r224.pt").write_bytes(CONTENT)
    assert fetch(_entry(server.port)).read_bytes() == CONTENT
    assert server.ranges == []


def test_unwritable_cache_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "file"))
    assert "set EDGEVIT_HOME to another folder" in _refusal(_entry(server.port))


def test_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", "/somewhere")
    assert cache_dir() == Path("/somewhere")
    monkeypatch.delenv("EDGEVIT_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_dir() == Path("/cache/edgevit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_dir() == Path("/home/someone/.cache/edgevit")
