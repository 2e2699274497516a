"""The systemd timer that looks for newer models, as text."""

import sys
from pathlib import Path

from edgevit.runtime.service.unit import quoted, quoted_path, seconds
from edgevit.runtime.update.enrollment import Enrollment

SUFFIX = "-update"
"""Follows the name of the service in the units' names."""


def update_units(enrollment: Enrollment, every_s: float) -> dict[str, str]:
    """Return file name to text of the unit that checks once and of the timer that starts it.

    Args:
        enrollment: of the board.
        every_s: time between two checks in seconds; up to half of it is added at random, so that a thousand boards that
            were switched on together do not ask together.

    Raises:
        OptionError: the folder's name holds what a unit file cannot.
    """
    name = enrollment.service
    command = [sys.executable, "-P", "-m", "edgevit", "update", "--service", name]
    return {
        f"{name}{SUFFIX}.service": _service([*command, *(["--user"] if enrollment.user else [])], enrollment),
        f"{name}{SUFFIX}.timer": "\n".join(
            (
                "[Unit]",
                f"Description=edgevit: looks for newer models for {name}",
                "",
                "[Timer]",
                # no time of day: a board without a battery may wake up in 1970
                "OnBootSec=2min",
                f"OnUnitActiveSec={seconds(every_s)}",
                f"RandomizedDelaySec={seconds(every_s / 2)}",
                "",
                "[Install]",
                "WantedBy=timers.target",
                "",
            )
        ),
    }


def _service(command: list[str], enrollment: Enrollment) -> str:
    network = [] if enrollment.user else ["Wants=network-online.target", "After=network-online.target"]
    return "\n".join(
        (
            "[Unit]",
            f"Description=edgevit: newer models for {enrollment.service}",
            *network,
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={' '.join(map(quoted, command))}",
            # an hour of fetching, a self-test, and watching the service
            "TimeoutStartSec=2h",
            "Nice=10",
            "IOSchedulingClass=idle",
            "StandardOutput=journal",
            "StandardError=journal",
            f"SyslogIdentifier={enrollment.service}{SUFFIX}",
            "UMask=0022",
            "LimitCORE=0",
            "NoNewPrivileges=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
            "RestrictNamespaces=yes",
            "RestrictRealtime=yes",
            "LockPersonality=yes",
            "SystemCallArchitectures=native",
            *([] if enrollment.user else _system_lines(enrollment.into)),
            "",
        )
    )


def _system_lines(into: Path) -> list[str]:
    """Return what keeps root's check from anything but the model's folder; systemctl talks over a socket."""
    return [
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        f"ReadWritePaths={quoted_path(str(into))}",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_CHOWN",
    ]
