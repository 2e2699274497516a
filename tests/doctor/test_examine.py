"""All checks together: silent on a healthy board, and unharmed by whatever a machine lacks."""

import sys
from pathlib import Path

from edgevit.doctor.environment import Environment, Outcome, numbers, this_machine
from edgevit.doctor.examine import CHECKS, examine
from tests.doctor.made_machine import changed, command


def test_healthy_board_has_no_trouble(board: Environment) -> None:
    findings = list(examine(board))
    assert {finding.level for finding in findings} == {"ok"}
    assert len(findings) >= 13
    assert findings[0].text == "rpi4: the board says it is 'Raspberry Pi 4 Model B Rev 1.4'"


def test_empty_tree_crashes_no_check(tmp_path: Path) -> None:
    env = changed(this_machine(), root=tmp_path, path=str(tmp_path), packages={})
    assert {finding.level for finding in examine(env)} <= {"ok", "warn", "fail"}
    assert all(check.__doc__ for check in CHECKS)


def test_signal_is_told_from_an_exit_status() -> None:
    assert [Outcome(code, "", "").signal_name for code in (-4, 132, 0, 1, 127)] == ["SIGILL", "SIGILL", "", "", ""]


def test_versions_are_compared_as_numbers() -> None:
    assert numbers("4.12.0.88") > numbers("4.9.0.80")
    assert numbers("2.0.0rc1") == (2, 0, 0)
    assert numbers("unknown") == ()


def test_command_that_does_not_end_is_given_up(board: Environment) -> None:
    command(board, "sleepy", "exec /bin/sleep 60")
    assert board.run("sleepy", timeout_s=0.2) is None
    assert board.run("absent") is None


def test_this_machine_knows_itself() -> None:
    env = this_machine()
    assert env.python == sys.executable
    assert env.packages["numpy"]
    assert env.bits == 64
