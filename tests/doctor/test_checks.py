"""Each known trouble of a board is found in a machine made to have it, and not in one without it."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevit.doctor.camera import (
    check_camera_names,
    check_camera_users,
    check_permissions,
    check_ribbon_camera,
    may_use,
)
from edgevit.doctor.environment import Environment, Finding, Outcome, numbers, this_machine
from edgevit.doctor.examine import CHECKS, Check, examine
from edgevit.doctor.packages import (
    check_holes,
    check_imports,
    check_numpy,
    check_onnxruntime,
    check_opencv,
    check_torch,
)
from edgevit.doctor.power import check_governor, check_temperature, check_throttling
from edgevit.doctor.system import (
    check_card,
    check_clock,
    check_memory,
    check_python,
    check_space,
    check_swap,
    check_userland,
)
from tests.places import MACHINES

GOOD_PACKAGES = {"numpy": "2.4.6", "onnxruntime": "1.31.1", "opencv-python-headless": "5.0.0.93"}
Change = Callable[[Environment], object]


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


def put(env: Environment, name: str, text: str) -> Path:
    path = env.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def command(env: Environment, name: str, script: str) -> None:
    """Make a stub command of the shell."""
    path = Path(env.path) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def changed(env: Environment, **changes: Any) -> Environment:
    return dataclasses.replace(env, **changes)


def only(check: Check, env: Environment) -> Finding:
    (finding,) = check(env)
    assert "\n" not in finding.text
    assert (finding.level == "ok") == (finding.remedy == ""), "a trouble comes with what mends it"
    return finding


def test_healthy_board_has_no_trouble(board: Environment) -> None:
    findings = list(examine(board))
    assert {finding.level for finding in findings} == {"ok"}
    assert len(findings) >= 13
    assert findings[0].text == "rpi4: the board says it is 'Raspberry Pi 4 Model B Rev 1.4'"


def test_empty_tree_crashes_no_check(tmp_path: Path) -> None:
    env = changed(this_machine(), root=tmp_path, path=str(tmp_path), packages={})
    assert {finding.level for finding in examine(env)} <= {"ok", "warn", "fail"}
    assert all(check.__doc__ for check in CHECKS)


def test_32_bit_system_on_a_64_bit_kernel_is_found(board: Environment) -> None:
    finding = only(check_userland, changed(board, bits=32))
    assert (finding.level, "32-bit on a 64-bit kernel (aarch64)" in finding.text) == ("fail", True)
    assert "kernel" not in only(check_userland, changed(board, bits=32, machine="armv7l")).text


def test_old_python_is_found(board: Environment) -> None:
    finding = only(check_python, changed(board, version=(3, 9)))
    assert finding.level == "fail"
    assert finding.text.startswith("Python 3.9; edgevit needs 3.11 or newer")


@pytest.mark.parametrize(
    ("machine", "version", "level"),
    [
        ("rpi4", "1.21.0", "fail"),
        ("rpi5", "1.21.0", "warn"),
        ("rpi4", "1.21.1", "ok"),
        ("rpi4", "1.19.2", "warn"),
        ("rpi4", None, "fail"),
    ],
)
def test_onnxruntime_that_crashes_on_armv80_is_found(
    board: Environment, machine: str, version: str | None, level: str
) -> None:
    shutil.copytree(MACHINES / machine, board.root, dirs_exist_ok=True)
    finding = only(check_onnxruntime, changed(board, packages={"onnxruntime": version} if version else {}))
    assert finding.level == level
    assert finding.remedy in ("", "pip install 'onnxruntime>=1.20,!=1.21.0'")


@pytest.mark.parametrize(
    ("packages", "level", "remedy"),
    [
        (
            {"numpy": "2.1.0", "tflite-runtime": "2.14.0"},
            "fail",
            "pip install ai-edge-litert, or: pip install 'numpy<2'",
        ),
        ({"numpy": "2.1.0", "tflite-runtime": "2.14.0", "ai-edge-litert": "2.3.0"}, "warn", "pip uninstall"),
        ({"numpy": "1.26.4", "tflite-runtime": "2.14.0"}, "ok", ""),
        ({"numpy": "2.1.0", "opencv-python-headless": "4.9.0.80"}, "fail", "pip install --upgrade opencv"),
        ({"numpy": "1.26.4", "opencv-python-headless": "4.12.0.88"}, "warn", "'opencv-python-headless<4.12'"),
        ({"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}, "ok", ""),
        ({}, "fail", "pip install numpy"),
    ],
)
def test_packages_of_another_numpy_are_found(
    board: Environment, packages: dict[str, str], level: str, remedy: str
) -> None:
    finding = only(check_numpy, changed(board, packages=packages))
    assert finding.level == level
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("packages", "remedy"),
    [
        ({"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}, "ai-edge-litert 'numpy>=2'"),
        ({"numpy": "2.4.6", "opencv-python-headless": "4.11.0.86"}, "'opencv-python-headless>=4.12'"),
        ({"torch": "2.9.1"}, "'torch>=2.10'"),
        ({"onnx": "1.20.1"}, "'onnx>=1.21'"),
    ],
)
def test_versions_with_known_holes_are_found(board: Environment, packages: dict[str, str], remedy: str) -> None:
    finding = only(check_holes, changed(board, packages=packages))
    assert finding.level == "warn"
    assert finding.remedy.endswith(remedy)


def test_versions_without_known_holes_are_not_spoken_of(board: Environment) -> None:
    packages = {"opencv-python-headless": "4.12.0.88", "torch": "2.10.0", "onnx": "1.21.0"}
    assert list(check_holes(changed(board, packages=packages))) == []


def test_opencv_with_windows_on_a_headless_board_is_found(board: Environment) -> None:
    with_windows = changed(board, packages={"opencv-python": "4.11.0.86"})
    finding = only(check_opencv, with_windows)
    assert finding.level == "warn"
    assert finding.remedy == "pip uninstall -y opencv-python && pip install opencv-python-headless"
    assert only(check_opencv, changed(with_windows, display=True)).level == "ok"
    both = changed(board, packages={"opencv-python": "4.11.0.86", "opencv-python-headless": "5.0.0.93"})
    assert "overwrite each other's cv2" in only(check_opencv, both).text
    assert only(check_opencv, changed(board, packages={})).level == "fail"


def test_torch_is_a_warning_where_it_dies(board: Environment) -> None:
    assert list(check_torch(board)) == []
    with_torch = changed(board, packages=GOOD_PACKAGES | {"torch": "2.13.0"})
    assert "export on a PC" in only(check_torch, with_torch).text
    assert only(check_torch, changed(with_torch, machine="x86_64")).level == "ok"


@pytest.mark.parametrize(
    ("script", "level", "text"),
    [
        ("kill -ILL $$", "fail", "importing onnxruntime 1.31.1 dies with an illegal instruction"),
        ("kill -SEGV $$", "fail", "importing onnxruntime 1.31.1 dies with SIGSEGV"),
        ("echo 'AttributeError: _ARRAY_API not found' >&2", "fail", "was built for another numpy"),
        ("echo 'Traceback' >&2; echo 'ImportError: libGL.so.1' >&2; exit 1", "fail", "fails: ImportError: libGL.so.1"),
        ("exit 0", "ok", "onnxruntime 1.31.1 can be imported"),
    ],
)
def test_import_that_kills_the_process_is_survived_and_explained(
    board: Environment, script: str, level: str, text: str
) -> None:
    command(board, "python", script)
    finding = only(check_imports, changed(board, packages={"onnxruntime": "1.31.1"}))
    assert finding.level == level
    assert text in finding.text


def test_signal_is_told_from_an_exit_status() -> None:
    assert [Outcome(code, "", "").signal_name for code in (-4, 132, 0, 1, 127)] == ["SIGILL", "SIGILL", "", "", ""]


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


@pytest.mark.parametrize("receiver", ["unicam-image", "rp1-cfe-csi2_ch0"])
def test_ribbon_camera_without_its_tools_is_found(board: Environment, receiver: str) -> None:
    assert list(check_ribbon_camera(board)) == []
    put(board, "sys/class/video4linux/video0/name", f"{receiver}\n")
    finding = only(check_ribbon_camera, board)
    assert (finding.level, finding.remedy) == ("warn", "sudo apt install rpicam-apps-lite")
    command(board, "libcamera-vid", "exit 0")
    assert only(check_ribbon_camera, board).text == "connected, and read by libcamera-vid"


def test_camera_that_the_user_may_not_open_is_found(board: Environment) -> None:
    assert list(check_permissions(board)) == []
    path = put(board, "dev/video0", "")
    path.chmod(0o660)
    stranger = changed(board, user=path.stat().st_uid + 1, groups=frozenset({path.stat().st_gid + 1}))
    finding = only(check_permissions, stranger)
    assert finding.text == "this user may not open /dev/video0"
    assert finding.remedy == "sudo usermod -aG video $USER, then log in again"
    assert only(check_permissions, changed(stranger, groups=frozenset({path.stat().st_gid}))).level == "ok"


def test_owner_group_and_others_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.touch()
    path.chmod(0o640)
    status = path.stat()
    uid, gid = status.st_uid, status.st_gid
    assert may_use(status, uid, frozenset())
    assert not may_use(status, uid + 1, frozenset({gid})), "reading alone is not enough"
    assert may_use(status, 0, frozenset())


def test_other_reader_of_the_camera_is_named(board: Environment) -> None:
    put(board, "dev/video0", "")
    assert only(check_camera_users, board).level == "ok"
    for pid, name in ((4242, "motion"), (board.pid, "python3")):
        put(board, f"proc/{pid}/comm", f"{name}\n")
        (board.root / f"proc/{pid}/fd").mkdir()
        os.symlink("/dev/video0", board.root / f"proc/{pid}/fd/5")
    finding = only(check_camera_users, board)
    assert finding.text == "/dev/video0 is held by motion (pid 4242)"
    assert finding.remedy == "kill 4242"


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


def test_names_of_cameras_are_listed(board: Environment) -> None:
    assert list(check_camera_names(board)) == []
    folder = board.root / "dev" / "v4l"
    for name, device in (
        ("by-id/usb-046d_C920-video-index0", "video2"),
        ("by-id/usb-046d_C920-video-index1", "video3"),
    ):
        put(board, f"dev/{device}", "")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(f"../../{device}")
    assert only(check_camera_names, board).text == "/dev/video2 is camera:usb-046d_C920-video-index0"
