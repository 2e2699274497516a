"""What counts as a sign of life of the service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.board.status import BoardStatus, status_path, write_status
from edgevit.runtime.update.service import SystemdService, fresh_status


def status(pid: int) -> BoardStatus:
    return BoardStatus(
        host="yard",
        version="0",
        pid=pid,
        model="/m.onnx",
        sha256="a" * 64,
        since="2026-11-30T02:00:00Z",
        time="2026-11-30T02:00:00Z",
    )


def test_status_of_a_service_that_runs_is_taken(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", status(os.getpid()))
    assert fresh_status(tmp_path / "status.json") == status(os.getpid())


def test_status_that_a_killed_service_left_is_none(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_status(tmp_path / "status.json", status(ended.pid))
    assert fresh_status(tmp_path / "status.json") is None


def test_status_that_was_not_written_for_a_minute_is_none(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, status(os.getpid()))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))
    assert fresh_status(path) is None


def test_nothing_or_rubbish_is_none(tmp_path: Path) -> None:
    assert fresh_status(tmp_path / "status.json") is None
    (tmp_path / "status.json").write_text("{")
    assert fresh_status(tmp_path / "status.json") is None


@pytest.mark.parametrize(
    ("word", "condition"),
    [("active", "running"), ("activating", "trying"), ("failed", "trying"), ("inactive", "off"), ("unknown", "off")],
)
def test_conditions_are_read_from_systemctl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, condition: str
) -> None:
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\n[ "$*" = "--user is-active yard" ] && echo {word}\nexit 3\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert SystemdService("yard", True).condition() == condition


def test_new_start_begins_with_a_new_budget_and_does_not_wait_for_the_first_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    service = SystemdService("edgevit", False)
    service.restart()
    service.reload()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "reset-failed edgevit",
        "restart --no-block edgevit",
        "reload edgevit",
    ]


def test_status_of_a_process_that_no_system_can_have_is_none(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", status(10**30))
    assert fresh_status(tmp_path / "status.json") is None


def test_machine_without_systemd_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match=r"^`systemctl --user is-active yard` failed: .*No such file or directory"):
        SystemdService("yard", True).condition()


def test_status_is_that_of_the_service_of_this_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = status_path("yard", user=True)
    path.parent.mkdir(parents=True)
    write_status(path, status(os.getpid()))
    assert SystemdService("yard", True).status() == status(os.getpid())
    assert SystemdService("gate", True).status() is None


def test_service_of_another_user_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        assert (pid, signal) == (4711, 0)
        raise PermissionError(1, "Operation not permitted")

    write_status(tmp_path / "status.json", status(4711))
    monkeypatch.setattr(os, "kill", refuse)
    assert fresh_status(tmp_path / "status.json") == status(4711)


def test_systemctl_that_does_not_answer_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(UpdateError, match=r"^`systemctl reload yard` failed: .*timed out after 120 seconds$"):
        SystemdService("yard", False).reload()
