"""Checks of cameras: a ribbon-cable camera without its tools, devices that may not be opened, and who holds them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgevit.doctor.environment import Environment, Finding
from edgevit.runtime.sources.devices import named_cameras

RECEIVERS = ("unicam", "rp1-cfe")
"""V4L2 names of the Raspberry Pi's ribbon-cable receivers, up to the 4 and from the 5 on; a camera brings them up."""
TOOLS = ("rpicam-vid", "libcamera-vid")


def check_ribbon_camera(env: Environment) -> Iterator[Finding]:
    """Such a camera does not open in OpenCV (opencv issue 22820); libcamera's command-line tools read it."""
    names = [path.read_text(errors="replace") for path in env.files("sys/class/video4linux/video*/name")]
    if not any(name.startswith(RECEIVERS) for name in names):
        return
    tool = next(filter(env.has_command, TOOLS), None)
    if tool is None:
        text = f"a ribbon-cable camera is connected, but there is no {TOOLS[0]} to read it, and OpenCV cannot"
        yield Finding("ribbon-camera", "warn", text, "sudo apt install rpicam-apps-lite")
    else:
        yield Finding("ribbon-camera", "ok", f"connected, and read by {tool}")


def check_permissions(env: Environment) -> Iterator[Finding]:
    """Video devices belong to the group video, which a new user or a service often is not in."""
    devices = env.files("dev/video*")
    closed = [env.name_of(path) for path in devices if not may_use(path.stat(), env.user, env.groups)]
    if closed:
        text = f"this user may not open {', '.join(closed)}"
        yield Finding("video-permissions", "warn", text, "sudo usermod -aG video $USER, then log in again")
    elif devices:
        yield Finding("video-permissions", "ok", f"{len(devices)} video devices may be opened")


def check_camera_names(env: Environment) -> Iterator[Finding]:
    """The numbers of cameras change with the order in which they are found; their udev names do not."""
    known = set()
    for device, link in named_cameras(env.root / "dev"):
        if device not in known:
            known.add(device)
            yield Finding("camera-names", "ok", f"/dev/{device} is camera:{link.name}")


def check_camera_users(env: Environment) -> Iterator[Finding]:
    """A camera has one reader at a time: a second one fails to open it, or hangs."""
    held: dict[str, set[str]] = {}
    for process in env.files("proc/[0-9]*"):
        for device in _open_files(process):
            if device.startswith("/dev/video") and process.name != str(env.pid):
                held.setdefault(device, set()).add(process.name)
    for device, pids in sorted(held.items()):
        users = ", ".join(f"{env.text(f'proc/{pid}/comm') or '?'} (pid {pid})" for pid in sorted(pids, key=int))
        yield Finding("camera-users", "warn", f"{device} is held by {users}", f"kill {' '.join(sorted(pids, key=int))}")
    if not held and env.files("dev/video*"):
        yield Finding("camera-users", "ok", "no other process that this user can see holds a camera")


def _open_files(process: Path) -> list[str]:
    """Return what a process of /proc has open; nothing if it ended meanwhile, or is another user's."""
    try:
        return [os.readlink(link) for link in (process / "fd").iterdir()]
    except OSError:
        return []


def may_use(status: os.stat_result, user: int, groups: frozenset[int]) -> bool:
    """Tell whether a user may read and write a file, by its owner, group and mode."""
    if user == 0:
        return True
    if user == status.st_uid:
        needed = stat.S_IRUSR | stat.S_IWUSR
    elif status.st_gid in groups:
        needed = stat.S_IRGRP | stat.S_IWGRP
    else:
        needed = stat.S_IROTH | stat.S_IWOTH
    return status.st_mode & needed == needed
