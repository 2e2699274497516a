"""Cameras that cannot be read, or not by this user or now, are found; the others are named."""

import os
from pathlib import Path

import pytest

from edgevit.doctor.camera import (
    check_camera_names,
    check_camera_users,
    check_permissions,
    check_ribbon_camera,
    may_use,
)
from edgevit.doctor.environment import Environment
from tests.doctor.made_machine import changed, command, only, put


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
