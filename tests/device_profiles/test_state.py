"""What a machine says of itself, from trees of files made like boards."""

from pathlib import Path

from edgevit.device_profiles.evidence import cpu_flags, machine_name
from edgevit.device_profiles.state import (
    Memory,
    governors,
    peak_memory_bytes,
    read_memory,
    temperature_c,
    throttle_flags,
)
from tests.places import MACHINES


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_memory_is_told_in_mebibytes(tmp_path: Path) -> None:
    put(
        tmp_path,
        "proc/meminfo",
        "MemTotal:        3884220 kB\nMemAvailable:    3304512 kB\nSwapTotal:        524284 kB\n",
    )
    assert read_memory(tmp_path) == Memory(total_mb=3793, available_mb=3227, swap_mb=511)


def test_peak_memory_is_that_of_the_program(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/status", "Name:\tpython\nVmPeak:\t 900 kB\nVmHWM:\t   100 kB\n")
    assert peak_memory_bytes(tmp_path) == 102_400
    assert peak_memory_bytes() > 5_000_000


def test_hottest_zone_and_every_governor_are_told(tmp_path: Path) -> None:
    for zone, text in enumerate(("48200", "61500", "unreadable", "-1000")):
        put(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", f"{text}\n")
    for core, name in enumerate(("schedutil", "ondemand", "schedutil")):
        put(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", f"{name}\n")
    assert temperature_c(tmp_path) == 61.5
    assert governors(tmp_path) == ["ondemand", "schedutil"]


def test_machine_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    assert read_memory(tmp_path) == Memory(0, 0, 0)
    assert (peak_memory_bytes(tmp_path), temperature_c(tmp_path), governors(tmp_path)) == (0, None, [])
    assert (throttle_flags(tmp_path), cpu_flags(tmp_path)) == (None, frozenset())


def test_machine_is_named_by_its_board_or_its_processor(tmp_path: Path) -> None:
    assert machine_name(MACHINES / "rpi4").startswith("Raspberry Pi 4 Model B")
    put(tmp_path, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Some Processor 3000\nflags\t\t: fpu avx2\n")
    assert machine_name(tmp_path) == "Some Processor 3000"


def test_flags_are_those_that_every_core_has(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd bf16\nprocessor\t: 1\nFeatures\t: fp asimd\n")
    assert cpu_flags(tmp_path) == {"fp", "asimd"}
