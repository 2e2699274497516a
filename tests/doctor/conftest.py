"""A healthy board, for tests to spoil."""

import shutil
from pathlib import Path

import pytest

from edgevit.doctor.environment import Environment
from tests.doctor.made_machine import GOOD_PACKAGES, command, put
from tests.places import MACHINES


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A healthy Raspberry Pi 4: a tree of its files, and an empty folder of commands."""
    monkeypatch.delenv("EDGEVIT_PROFILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "root"
    shutil.copytree(MACHINES / "rpi4", root)
    (tmp_path / "bin").mkdir()
    env = Environment(
        root=root,
        path=str(tmp_path / "bin"),
        python=str(tmp_path / "bin" / "python"),
        version=(3, 11),
        machine="aarch64",
        bits=64,
        packages=GOOD_PACKAGES,
        user=1000,
        groups=frozenset({1000}),
        pid=77,
        free_mb=9000,
        display=False,
    )
    put(env, "proc/meminfo", "MemTotal:        3884220 kB\nMemAvailable:    3304512 kB\nSwapTotal:        524284 kB\n")
    put(env, "proc/mounts", "sysfs /sys sysfs rw 0 0\n/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n")
    put(env, "sys/fs/ext4/mmcblk0p2/errors_count", "0\n")
    put(env, "run/systemd/timesync/synchronized", "")
    put(env, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    put(env, "sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
    put(env, "sys/class/thermal/thermal_zone0/temp", "48200\n")
    command(env, "python", "exit 0")
    return env
