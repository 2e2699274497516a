"""`edgevit run` as a service's process: readiness, watchdog, SIGHUP and SIGTERM, over real sockets and signals."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.runtime.backends.session import open_exported
from edgevit.runtime.board.status import read_status
from tests.made_camera import Camera
from tests.ports import refusing_port
from tests.waiting import GENEROUS_S, wait_for


@pytest.fixture
def camera() -> Iterator[Camera]:
    made = Camera()
    yield made
    made.close()


class Service:
    """A process, and a service manager's end of its socket."""

    def __init__(self, folder: Path, arguments: tuple[object, ...], environment: dict[str, str]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(GENEROUS_S)
        command = [sys.executable, "-m", "edgevit", "run", *map(str, arguments)]
        # a session of its own has no terminal, as a service has none
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify")} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.told: list[str] = []

    def wait_for(self, line: str) -> list[str]:
        """Read messages until one has this line; return its lines."""
        while True:
            lines = self._socket.recv(4096).decode().split("\n")
            self.told += lines
            if line in lines:
                return lines

    def silent_for(self, seconds: float, line: str) -> bool:
        """Tell whether no message with this line comes."""
        until_s = time.monotonic() + seconds
        self._socket.settimeout(0.1)
        try:
            while time.monotonic() < until_s:
                with contextlib.suppress(TimeoutError):
                    if line in self._socket.recv(4096).decode().split("\n"):
                        return False
            return True
        finally:
            self._socket.settimeout(GENEROUS_S)

    def end(self) -> tuple[int, str, str]:
        """Send SIGTERM; return exit code, stdout and stderr."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=GENEROUS_S)
        return self.process.returncode, out, err

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._socket.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    opened: list[Service] = []

    def make(*arguments: object, **environment: str) -> Service:
        opened.append(Service(tmp_path, arguments, environment))
        return opened[-1]

    yield make
    for service in opened:
        service.close()


def test_service_is_ready_beats_renews_and_finishes(
    start: Callable[..., Service], tiny_model: Path, camera: Camera, tmp_path: Path
) -> None:
    """The whole life under the protocol, and every line that was counted is in the file at the end."""
    file = tmp_path / "all.jsonl"
    service = start(tiny_model, camera.url, "--to", file, "--to", "json", WATCHDOG_USEC="10000000")
    status = service.wait_for("READY=1")[1]
    assert status.startswith(f"STATUS={camera.url}: red 1.00")
    service.wait_for("WATCHDOG=1")

    service.process.send_signal(signal.SIGHUP)
    service.wait_for("RELOADING=1")
    assert service.wait_for("READY=1")[1] == "STATUS=the model was renewed; its self-test passed, 3 pictures"

    tiny_model.write_bytes(b"rubbish")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for("RELOADING=1")
    assert "the old model stays" in service.wait_for("READY=1")[1]
    service.wait_for("WATCHDOG=1")

    code, out, err = service.end()
    assert code == 0
    assert "the old model stays" in err
    service.wait_for("STOPPING=1")
    assert file.read_text() == out
    frames = [json.loads(line)["frame"] for line in out.splitlines() if '"event"' not in line]
    assert len(frames) > 1
    assert frames == sorted(set(frames))


def test_watchdog_starves_when_the_camera_does(start: Callable[..., Service], tiny_model: Path, camera: Camera) -> None:
    service = start(tiny_model, camera.url, "--stall-timeout", "2s", WATCHDOG_USEC="8000000")
    service.wait_for("READY=1")
    camera.paused.set()
    service.wait_for(f"STATUS={camera.url}: source lost: no picture for 2 s")
    # else there is one every two seconds
    assert service.silent_for(3, "WATCHDOG=1")
    camera.paused.clear()
    service.wait_for("WATCHDOG=1")
    assert service.end()[0] == 0


def test_service_without_a_camera_is_never_ready_and_still_ends_well(
    start: Callable[..., Service], tiny_model: Path
) -> None:
    with refusing_port() as port:
        service = start(tiny_model, f"tcp://127.0.0.1:{port}")
        service.wait_for(f"STATUS=tcp://127.0.0.1:{port}: source lost: Connection refused")
        code, out, _ = service.end()
    assert (code, out) == (0, "")
    service.wait_for("STOPPING=1")
    assert "READY=1" not in service.told


def page_of(service: Service) -> Callable[[str], tuple[int, bytes]]:
    """Return what asks the page of a service; the address is the first that it says."""
    assert service.process.stderr is not None
    found = re.search(r"the page is at http://127\.0\.0\.1:(\d+)/", service.process.stderr.readline())
    assert found

    def get(path: str) -> tuple[int, bytes]:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=GENEROUS_S)
        ) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    return get


def test_page_is_served_beside_a_run(start: Callable[..., Service], tiny_model: Path, camera: Camera) -> None:
    service = start(tiny_model, camera.url, "--serve", "127.0.0.1:0")
    service.wait_for("READY=1")
    get = page_of(service)
    assert get("/healthz") == (200, b"running: results are being produced\n")
    # the event follows the answer that the readiness comes with
    wait_for(lambda: json.loads(get("/state.json")[1])["events"])
    state = json.loads(get("/state.json")[1])
    assert state["answers"][0]["top1"] == "red"
    # labels are watched for the page, though nothing else asks for events
    assert state["events"][-1]["label"] == "red"
    image = cv2.imdecode(np.frombuffer(get("/picture.jpg")[1], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (48, 64, 3)
    code, out, _ = service.end()
    assert code == 0
    assert "now red" not in out


def test_several_cameras_are_read_at_once_and_one_that_goes_does_not_stop_the_others(tiny_model: Path) -> None:
    first, second = Camera(), Camera()
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), first.url, second.url, "--every", "100ms"]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        seen: set[str] = set()
        while seen != {first.url, second.url}:
            line = json.loads(process.stdout.readline())
            assert line["top1"] == "red"
            seen.add(line["source"])
        first.close()
        # what was on its way comes, then its loss, and the other goes on
        while json.loads(process.stdout.readline()).get("event") != "source_lost":
            pass
        lines = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert {line["source"] for line in lines if "event" not in line} == {second.url}
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
        second.close()
    assert process.returncode == 0
    assert f"{first.url}: source lost" in err


def test_several_cameras_share_one_session(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counting(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(path)
        return open_exported(path, *arguments, **options)

    monkeypatch.setattr("edgevit.runtime.loading.open_exported", counting)
    cameras = [Camera(), Camera(), Camera()]
    urls = {camera.url for camera in cameras}
    try:
        # each gives its first picture at once, and none gives a second within the hour
        options = edgevit.RunOptions(
            model=tiny_model, sources=sorted(urls), every="1h", max_frames=3, to=[f"{tmp_path}/all.jsonl?send=results"]
        )
        assert edgevit.run(options).results == 3
    finally:
        for camera in cameras:
            camera.close()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {line["source"] for line in lines} == urls
    assert list(map(str, opened)) == [str(tiny_model)]


def test_status_says_which_model_answers_over_reloads(
    start: Callable[..., Service], tiny_model: Path, make_model: Callable[..., Path], camera: Camera, tmp_path: Path
) -> None:
    """What the updater and `edgevit fleet list` believe: the digest of what answers, not of what lies on the disk."""
    path = tmp_path / "run" / "status.json"
    path.parent.mkdir()
    places = ("--status", path, "--to", tmp_path / "all.jsonl", "--serve", "127.0.0.1:0")
    service = start(tiny_model, camera.url, *places)
    first = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    wait_for(lambda: path.exists())
    begun = read_status(path)
    assert (begun.model, begun.sha256, begun.pid) == (str(tiny_model), first, service.process.pid)
    service.wait_for("READY=1")
    get = page_of(service)
    known = {"model": tiny_model.name, "source": camera.url, "version": edgevit.__version__}
    assert info_of(get) == known | {"sha256": first}

    document = read_manifest(tiny_model)
    assert document is not None
    tiny_model.write_bytes(b"rubbish")
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: read_status(path).reload_error is not None and read_status(path).results > 0)
    refused = read_status(path)
    assert (refused.sha256, refused.since) == (first, begun.since)
    assert str(refused.reload_error).startswith("the old model stays: ")

    make_model("newer.onnx", selftest=document.selftest, target="rpi4").replace(tiny_model)
    service.process.send_signal(signal.SIGHUP)
    second = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    wait_for(lambda: read_status(path).sha256 == second)
    renewed = read_status(path)
    assert renewed.reload_error is None
    assert info_of(get) == known | {"sha256": second}
    assert renewed.since > begun.since

    code, _, _ = service.end()
    ended = read_status(path)
    lines = len((tmp_path / "all.jsonl").read_text().splitlines())
    assert (code, ended.sha256) == (0, second)
    assert 0 < ended.results < lines
    assert [each.name for each in path.parent.iterdir()] == ["status.json"]


def info_of(get: Callable[[str], tuple[int, bytes]]) -> dict[str, str]:
    """Return the labels of edgevit_info, which stands once on /metrics."""
    (line,) = [line for line in get("/metrics")[1].decode().splitlines() if line.startswith("edgevit_info{")]
    return dict(re.findall(r'(\w+)="([^"]*)"', line))


def test_status_that_cannot_be_written_is_said_before_the_first_picture(
    start: Callable[..., Service], tiny_model: Path, camera: Camera, tmp_path: Path
) -> None:
    (tmp_path / "none").write_text("a file")
    service = start(tiny_model, camera.url, "--status", tmp_path / "none" / "status.json")
    out, err = service.process.communicate(timeout=GENEROUS_S)
    assert (service.process.returncode, out) == (1, "")
    assert f"none/status.json cannot be written: {tmp_path}/none is no folder; choose a place that this user may" in err
