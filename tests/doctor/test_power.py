"""What slows a processor down is found: the governor, the power supply, heat."""

import pytest

from edgevit.doctor.environment import Environment
from edgevit.doctor.power import check_governor, check_temperature, check_throttling
from tests.doctor.made_machine import command, only, put


def test_slow_governor_is_found(board: Environment) -> None:
    put(board, "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n")
    finding = only(check_governor, board)
    assert (finding.level, "powersave" in finding.text) == ("warn", True)
    assert finding.remedy.startswith("echo ondemand | sudo tee /sys/devices/system/cpu/")


@pytest.mark.parametrize(
    ("flags", "level", "text"),
    [
        ("0x0", "ok", "neither under-voltage nor throttling"),
        ("0x50005", "fail", "too little voltage reaches the board; the processor is throttled (flags 0x50005)"),
        ("0x4", "warn", "the processor is throttled (flags 0x4)"),
        ("0x50000", "warn", "since the start there was under-voltage, throttled"),
        ("0x80008", "warn", "the soft temperature limit is active"),
    ],
)
@pytest.mark.parametrize("source", ["file", "command"])
def test_throttling_is_found(board: Environment, flags: str, level: str, text: str, source: str) -> None:
    path = board.root / "sys/devices/platform/soc/soc:firmware/get_throttled"
    if source == "file":
        path.write_text(f"{flags.removeprefix('0x')}\n")
    else:
        path.unlink()
        command(board, "vcgencmd", f"echo throttled={flags}")
    finding = only(check_throttling, board)
    assert finding.level == level
    assert text in finding.text
    assert ("power supply" in finding.remedy) == (int(flags, 16) & 0x10001 != 0)


def test_board_without_flags_says_nothing_about_throttling(board: Environment) -> None:
    (board.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    assert list(check_throttling(board)) == []
    command(board, "vcgencmd", "echo VCHI initialization failed; exit 255")
    assert list(check_throttling(board)) == []


def test_heat_is_found(board: Environment) -> None:
    put(board, "sys/class/thermal/thermal_zone1/temp", "81500\n")
    finding = only(check_temperature, board)
    assert (finding.level, finding.text) == ("warn", "82 °C; the clock falls from 80 on")
