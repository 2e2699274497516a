"""Troubles of the operating system are found: what was installed, what it has left, whether it knows the time."""

import pytest

from edgevit.doctor.environment import Environment
from edgevit.doctor.system import (
    check_card,
    check_clock,
    check_memory,
    check_python,
    check_space,
    check_swap,
    check_userland,
)
from tests.doctor.made_machine import changed, command, only, put


def test_32_bit_system_on_a_64_bit_kernel_is_found(board: Environment) -> None:
    finding = only(check_userland, changed(board, bits=32))
    assert (finding.level, "32-bit on a 64-bit kernel (aarch64)" in finding.text) == ("fail", True)
    assert "kernel" not in only(check_userland, changed(board, bits=32, machine="armv7l")).text


def test_old_python_is_found(board: Environment) -> None:
    finding = only(check_python, changed(board, version=(3, 9)))
    assert finding.level == "fail"
    assert finding.text.startswith("Python 3.9; edgevit needs 3.11 or newer")


@pytest.mark.parametrize(("available", "level"), [(300_000, "ok"), (200_000, "warn"), (50_000, "fail")])
def test_lack_of_memory_is_found(board: Environment, available: int, level: str) -> None:
    put(board, "proc/meminfo", f"MemTotal: 400000 kB\nMemAvailable: {available} kB\n")
    assert only(check_memory, board).level == level


def test_small_board_without_swap_is_found(board: Environment) -> None:
    put(board, "proc/meminfo", "MemTotal:         443832 kB\nMemAvailable:    300000 kB\nSwapTotal:             0 kB\n")
    assert only(check_swap, board).text == "433 MB of memory and no swap"
    put(board, "proc/meminfo", "MemTotal:        3884220 kB\nSwapTotal:             0 kB\n")
    assert only(check_swap, board).level == "ok"


@pytest.mark.parametrize(("free_mb", "level"), [(99, "fail"), (499, "warn"), (500, "ok")])
def test_full_card_is_found(board: Environment, free_mb: int, level: str) -> None:
    assert only(check_space, changed(board, free_mb=free_mb)).level == level


@pytest.mark.parametrize(
    ("name", "text", "level", "expected"),
    [
        ("proc/mounts", "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n", "fail", "mounted read-only"),
        ("sys/fs/ext4/mmcblk0p2/errors_count", "3\n", "warn", "has counted 3 errors"),
        ("sys/block/mmcblk0/device/life_time", "0x02 0x0b\n", "warn", "90 % of its life"),
        ("sys/block/mmcblk0/device/life_time", "0x02 0x09\n", "ok", "no file system errors"),
    ],
)
def test_dying_card_is_found(board: Environment, name: str, text: str, level: str, expected: str) -> None:
    put(board, name, text)
    finding = only(check_card, board)
    assert finding.level == level
    assert expected in finding.text


@pytest.mark.parametrize(("answer", "level"), [("yes", "ok"), ("no", "warn")])
def test_clock_that_was_never_set_is_found(board: Environment, answer: str, level: str) -> None:
    (board.root / "run/systemd/timesync/synchronized").unlink()
    assert list(check_clock(board)) == [], "without timedatectl nobody can tell"
    command(board, "timedatectl", f"echo {answer}")
    assert only(check_clock, board).level == level
