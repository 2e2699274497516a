"""The service that runs the model, as its manager and its own status file show it."""

import os
import subprocess
import time
from pathlib import Path
from typing import Literal, Protocol

from edgevit.errors import StatusError, UpdateError
from edgevit.runtime.board.status import BoardStatus, read_status, status_path

FRESH_S = 45.0
"""A status that is older is left over from a service that has ended, in seconds; it is written every 10."""
Condition = Literal["running", "trying", "off"]
"""`trying`: it is starting, or fails again and again; `off`: nobody has started it."""
CONDITIONS: dict[str, Condition] = {
    "active": "running",
    "reloading": "running",
    "activating": "trying",
    "deactivating": "trying",
    "failed": "trying",
}
"""systemd's word for a unit's state to ours; all others are "off"."""


class Service(Protocol):
    """What an update needs of the service."""

    def status(self) -> BoardStatus | None:
        """Return what it says of itself; None if it is silent."""
        ...

    def condition(self) -> Condition:
        """Return what its manager says of it."""
        ...

    def reload(self) -> None:
        """Ask it to open the model's file anew, without a gap."""
        ...

    def restart(self) -> None:
        """End it, and start it anew."""
        ...


class SystemdService:
    """A unit that `edgevit service` wrote."""

    def __init__(self, name: str, user: bool) -> None:
        self._name, self._user = name, user

    @property
    def _path(self) -> Path:
        return status_path(self._name, user=self._user)

    def status(self) -> BoardStatus | None:
        return fresh_status(self._path)

    def condition(self) -> Condition:
        return CONDITIONS.get(self._systemctl("is-active"), "off")

    def reload(self) -> None:
        self._systemctl("reload")

    def restart(self) -> None:
        # after several failures in a row systemd would not start it again
        self._systemctl("reset-failed")
        # started means that the first result is there, which the status tells sooner
        self._systemctl("restart", "--no-block")

    def _systemctl(self, verb: str, *options: str) -> str:
        command = ["systemctl", *(["--user"] if self._user else []), verb, *options, self._name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UpdateError(f"`{' '.join(command)}` failed: {error}") from error
        return done.stdout.strip()


def fresh_status(path: Path) -> BoardStatus | None:
    """Return what a running service says of itself; None if it has ended, or has not said anything of late."""
    try:
        if time.time() - path.stat().st_mtime > FRESH_S:
            return None
        status = read_status(path)
    except (OSError, StatusError):
        return None
    return status if _is_alive(status.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no system has so many processes
        return False
    except PermissionError:  # another user's
        return True
    return True
