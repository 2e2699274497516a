"""An update with `edgevit run` itself as the service: SIGHUP, a new start, and back; a script plays systemd."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.board.status import status_path
from edgevit.runtime.selftest import record_cases
from edgevit.runtime.update.board import Patience
from edgevit.runtime.update.check import check
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.service import SystemdService
from edgevit.runtime.update.state import read_state
from tests.conftest import TINY
from tests.made_camera import Camera
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.waiting import wait_for

SYSTEMCTL = """#!/bin/sh
[ "$1" = --user ] && shift
pid=$(cat "{folder}/pid")
case $1 in
  is-active) kill -0 $pid 2>/dev/null && echo active || echo failed ;;
  reload) kill -HUP $pid ;;
  restart) touch "{folder}/restart" ;;
esac
"""
pytestmark = pytest.mark.slow

PATIENT = Patience(results=3, results_s=60, reload_s=60, start_s=60, before_s=60, look_s=0.05)

MakeModel = Callable[..., Path]


class Manager:
    """Starts the service, and starts it anew when the script says so."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder, self._command = folder, command
        self.started = 0
        self._over = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        (self._folder / "pid").write_text(str(process.pid))
        self.started += 1
        return process

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._process.poll()  # what has ended is gone for the script too
            with contextlib.suppress(FileNotFoundError):
                (self._folder / "restart").unlink()
                self._end()
                self._process = self._start()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._end()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Manager]]:
    """Return what starts `edgevit run` with these arguments as the service "yard"."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(SYSTEMCTL.format(folder=tools))
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    status = status_path("yard", user=True)
    status.parent.mkdir(parents=True)
    camera, made = Camera(), list[Manager]()

    def start(model: Path, *options: str) -> Manager:
        command = [sys.executable, "-m", "edgevit", "run", str(model), camera.url, *options, "--status", str(status)]
        made.append(Manager(tools, command))
        wait_for(lambda: (found := SystemdService("yard", True).status()) is not None and found.results > 0)
        return made[-1]

    yield start
    for one in made:
        one.close()
    camera.close()


@pytest.fixture
def proven(make_model: MakeModel) -> Callable[..., bytes]:
    """Return what makes the bytes of a model with a self-test; each name gives other bytes."""

    def make(name: str, labels: tuple[str, ...] = TINY.labels) -> bytes:
        changes = {"labels": labels, "weights": dataclasses.replace(TINY.weights, source=name)}
        session = open_session(make_model(**changes))
        tests = record_cases(session, TINY.preprocess, TINY.precision)
        session.close()
        return make_model(**changes, selftest=tests).read_bytes()

    return make


@pytest.fixture
def enrollment(tmp_path: Path, site: MadeSite, web: StaticWeb) -> Enrollment:
    into = tmp_path / "models"
    into.mkdir()
    return Enrollment(web.url, "stable/farm.onnx", into, "yard", True, "b", site.first_root)


def test_running_service_takes_the_new_model_without_a_gap(
    site: MadeSite, enrollment: Enrollment, manager: Callable[..., Manager], proven: Callable[..., bytes]
) -> None:
    old, new = proven("first"), proven("second")
    assert old != new
    enrollment.model.write_bytes(old)
    service = manager(enrollment.model)
    site.publish("stable/farm.onnx", new)
    edge = SystemdService("yard", True)
    before = edge.status()
    state = check(enrollment, edge, patience=PATIENT)
    assert (state.state, state.error) == ("confirmed", None)
    after = edge.status()
    assert before is not None
    assert after is not None
    assert state.installed is not None
    assert after.sha256 == state.installed.sha256 != before.sha256
    assert after.pid == before.pid
    assert after.results >= 3
    assert service.started == 1
    # what the updater wrote comes out at the other end
    wait_for(lambda: (now := edge.status()) is not None and (now.update or {}).get("state") == "confirmed")


def test_other_classes_take_a_new_start(
    site: MadeSite, enrollment: Enrollment, manager: Callable[..., Manager], proven: Callable[..., bytes]
) -> None:
    enrollment.model.write_bytes(proven("first"))
    service = manager(enrollment.model)
    site.publish("stable/farm.onnx", proven("second", ("hen", "fox", "crow")))
    told: list[str] = []
    state = check(enrollment, SystemdService("yard", True), patience=PATIENT, tell=told.append)
    assert (state.state, state.error) == ("confirmed", None)
    assert service.started == 2
    assert any("the new file's classes are not those of the running model" in line for line in told)


def test_model_that_the_service_cannot_start_with_is_swapped_back(
    site: MadeSite, enrollment: Enrollment, manager: Callable[..., Manager], proven: Callable[..., bytes]
) -> None:
    """Its self-test passes; but the service was told of a class that it does not have."""
    old = proven("first")
    enrollment.model.write_bytes(old)
    service = manager(enrollment.model, "--threshold", "red=0.1")
    site.publish("stable/farm.onnx", proven("second", ("hen", "fox", "crow")))
    hasty = dataclasses.replace(PATIENT, start_s=15)
    state = check(enrollment, SystemdService("yard", True), patience=hasty)
    assert state.state == "rolled back"
    assert (state.error or "").startswith("the service does not start with it (")
    assert enrollment.model.read_bytes() == old
    assert service.started == 3
    edge = SystemdService("yard", True)
    wait_for(lambda: (now := edge.status()) is not None and now.results > 0)
    # nothing of this needed a name, and the second check leaves it alone
    assert check(enrollment, edge, patience=PATIENT).state == "rolled back"
    assert service.started == 3


def test_model_that_fails_its_selftest_never_gets_in_the_services_way(
    site: MadeSite,
    web: StaticWeb,
    enrollment: Enrollment,
    manager: Callable[..., Manager],
    proven: Callable[..., bytes],
) -> None:
    old = proven("first")
    enrollment.model.write_bytes(old)
    service = manager(enrollment.model)
    site.publish("stable/farm.onnx", b"no model at all")
    with pytest.raises(UpdateError, match="its self-test failed"):
        check(enrollment, SystemdService("yard", True), patience=PATIENT)
    assert (state := read_state(enrollment.into)) is not None
    assert state.state == "failed"
    assert enrollment.model.read_bytes() == old
    assert [path.name for path in enrollment.into.glob("*.onnx")] == ["farm.onnx"]
    again = check(enrollment, SystemdService("yard", True), patience=PATIENT)
    assert (again.state, len(web.targets)) == ("rolled back", 1)
    assert service.started == 1
