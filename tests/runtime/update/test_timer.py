"""The units of the check, to the letter: what they leave out, no test of systemd's own would miss."""

import dataclasses
import sys
from pathlib import Path

import pytest

from edgevit.runtime.enroll.timer import update_units
from tests.made_update_board import make_board

SYSTEM = """\
[Unit]
Description=edgevit: newer models for yard
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=PYTHON -P -m edgevit update --service yard
TimeoutStartSec=2h
Nice=10
IOSchedulingClass=idle
StandardOutput=journal
StandardError=journal
SyslogIdentifier=yard-update
UMask=0022
LimitCORE=0
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths="/srv/a folder"
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_CHOWN
"""
TIMER = """\
[Unit]
Description=edgevit: looks for newer models for yard

[Timer]
OnBootSec=2min
OnUnitActiveSec=900
RandomizedDelaySec=450

[Install]
WantedBy=timers.target
"""


@pytest.mark.parametrize("user", [False, True])
def test_units_are_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool) -> None:
    monkeypatch.setattr(sys, "executable", "PYTHON")
    made = make_board(tmp_path, "https://example.org", "{}").enrollment
    enrollment = dataclasses.replace(made, service="yard", user=user, into=Path("/srv/a folder"))
    service = SYSTEM
    if user:
        service = service[: service.index("ProtectSystem")].replace("--service yard", "--service yard --user")
        service = "".join(line for line in service.splitlines(True) if "network-online" not in line)
    assert update_units(enrollment, 900.0) == {"yard-update.service": service, "yard-update.timer": TIMER}


def test_board_that_looks_each_fortnight_has_a_period_that_systemd_reads(tmp_path: Path) -> None:
    made = make_board(tmp_path, "https://example.org", "{}").enrollment
    timer = update_units(made, 14 * 86400.0)["edgevit-update.timer"]
    assert "OnUnitActiveSec=1209600\nRandomizedDelaySec=604800\n" in timer
