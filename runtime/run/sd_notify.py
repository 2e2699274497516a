"""systemd's notify protocol: datagrams to the socket that NOTIFY_SOCKET names; see sd_notify(3)."""

import logging
import os
import socket
import time
from collections.abc import Mapping

from edgevit.schema import is_whole

log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager, if there is one; trouble with it is logged once and never ends a run."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """Send to a socket.

        Args:
            address: a path, or "@" and an abstract name; None for nobody.
            watchdog_s: the manager ends a service that is silent for so long; None if it does not.
        """
        self.watchdog_s = watchdog_s
        self._address = address
        self._failed = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; what is addressed to another process is not ours."""
        address = environment.get("NOTIFY_SOCKET", "")
        microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        watched = is_whole(microseconds) and process in ("", str(os.getpid()))
        return cls(
            address if address[:1] in ("/", "@") else None,
            int(microseconds) / 1e6 if watched and int(microseconds) else None,
        )

    def ready(self, status: str) -> None:
        """Say that the start, or the reloading, is complete."""
        self._send("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def reloading(self, status: str) -> None:
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=finishing")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        # a line end would begin another assignment
        message = "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in lines)
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(message.encode("utf-8", "replace"), address)
        except OSError as error:
            if not self._failed:
                log.warning("the service manager cannot be told at %s: %s", self._address, error.strerror or error)
            self._failed = True
        else:
            self._failed = False
