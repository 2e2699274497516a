"""A hardened systemd unit for `edgevit run`, as text; docs/service.md says why each line is there."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from edgevit.errors import OptionError
from edgevit.runtime.board.status import STATUS_FOLDER, STATUS_NAME
from edgevit.runtime.service.secrets import Credential
from edgevit.runtime.sources.grammar import Kind
from edgevit.runtime.sources.live import BACKOFF
from edgevit.text import printable

SHORTEST_WATCHDOG_S = 300.0
"""Shorter, a camera that is away for a while would cost more in new starts than it brings."""
STARTS = 5
"""New starts in a row before systemd gives up."""
RESTART_S = 30
FINISH_S = 30
"""A frame, five seconds of delivering, and flushing."""

_PLAIN = re.compile(r"[A-Za-z0-9_@:,./+=-]+", re.ASCII)

DEVICES: dict[Kind, tuple[str, ...]] = {
    "camera": ("char-video4linux rw",),
    "picam": ("char-video4linux rw", "char-media rw", "char-dma_heap rw", "char-drm rw", "/dev/vcsm-cma rw"),
}
"""Kinds of sources to the devices that they open."""


@dataclass(frozen=True)
class Job:
    """What a unit is made from, checked."""

    name: str
    """Name of the unit without its suffix, and of its user and its folder."""
    command: tuple[str, ...]
    """The whole command line; the first is an absolute path."""
    about: str
    """One line for `systemctl status`."""
    kinds: tuple[Kind, ...]
    """Kinds of the sources."""
    watchdog_s: float
    memory: int
    """Bytes that it may use, its camera program and file cache included."""
    user: bool = False
    """For a user's own service manager, else for the system's."""
    network: bool = True
    """Whether it talks to anything beyond this machine."""
    readable: tuple[str, ...] = ()
    """Folders below /home, /root or /run/user that it must be able to read."""
    secrets: tuple[Credential, ...] = ()
    """What systemd passes on to it and to nobody else."""


def watchdog_s(result_limit_s: float) -> float:
    """Return after how long without a result a service is started anew whose next result may take so long, in seconds.

    Long enough for a source that is lost to be found again by the run itself, which keeps counters and connections.
    """
    return max(SHORTEST_WATCHDOG_S, math.ceil(result_limit_s + 2 * BACKOFF.most_s))


def seconds(span_s: float) -> str:
    """Return a time as a unit file has it: systemd leaves out a setting like 1.2e+06."""
    return f"{span_s:.3f}".rstrip("0").rstrip(".")


def quoted(argument: str) -> str:
    """Return an argument as a unit file's command line has it; see "Command lines" in systemd.service(5).

    Raises:
        OptionError: it holds bytes that are not UTF-8.
    """
    if _PLAIN.fullmatch(argument):
        return argument
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise OptionError(f"{ascii(argument)} holds bytes that are not UTF-8, which a unit file cannot") from error
    text = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    text = "".join(letter if printable(letter) == letter else _as_bytes(letter) for letter in text)
    return f'"{text}"'


def _as_bytes(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode())


def _escaped(path: Path) -> str:
    """Return a path as a setting that is not quoted has it; OptionError for one that a unit file cannot hold."""
    if not str(path).isprintable():
        raise OptionError(f"{ascii(str(path))} holds a character that a unit file cannot; rename it")
    return str(path).replace("%", "%%")


def quoted_path(path: str) -> str:
    """Return a path as a setting that takes several has it, where $ stands for itself, unlike in a command line.

    Raises:
        OptionError: it holds what a unit file cannot.
    """
    text = _escaped(Path(path))
    if _PLAIN.fullmatch(path):
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def unit_text(job: Job) -> str:
    """Return the unit file."""
    sections = (
        ("Unit", _unit_lines(job)),
        ("Service", [*_service_lines(job), *(_user_lines(job) if job.user else _system_lines(job))]),
        ("Install", ["WantedBy=default.target" if job.user else "WantedBy=multi-user.target"]),
    )
    return "\n".join(f"[{title}]\n" + "".join(f"{line}\n" for line in lines) for title, lines in sections)


def _unit_lines(job: Job) -> list[str]:
    # a watchdog that ends the run again and again must not use the budget up: a camera may be away for a day
    budget_s = min(600, int(STARTS * 0.8 * job.watchdog_s))
    # what a user's manager knows nothing of
    network = ["Wants=network-online.target", "After=network-online.target"] if job.network and not job.user else []
    description = re.sub(r"[^ -~]", "?", job.about).replace("%", "%%")
    return [
        f"Description={description}",
        *network,
        f"StartLimitIntervalSec={budget_s}",
        f"StartLimitBurst={STARTS}",
    ]


def _service_lines(job: Job) -> list[str]:
    return [
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={' '.join(map(quoted, job.command))} --status %t/{STATUS_FOLDER}/{job.name}/{STATUS_NAME}",
        "ExecReload=kill -HUP $MAINPID",
        f"EnvironmentFile=-%E/edgevit/{job.name}.env",
        *(f"LoadCredential={secret.name}:{_escaped(secret.path)}" for secret in job.secrets),
        f"WatchdogSec={seconds(job.watchdog_s)}",
        # ready means that the first result is there
        f"TimeoutStartSec={seconds(job.watchdog_s)}",
        f"TimeoutStopSec={FINISH_S}",
        # the run ends its camera's process itself, after the frame in hand
        "KillMode=mixed",
        "Restart=always",
        f"RestartSec={RESTART_S}",
        # a wrong option stays wrong
        "RestartPreventExitStatus=2",
        f"StateDirectory={job.name}",
        "StateDirectoryMode=0700",
        f"WorkingDirectory=%S/{job.name}",
        # one for each service: systemd gives a folder to one user, and removes it with its service
        f"RuntimeDirectory={STATUS_FOLDER}/{job.name}",
        "StandardOutput=journal",
        "StandardError=journal",
        f"SyslogIdentifier={job.name}",
        f"MemoryMax={job.memory}",
        "MemorySwapMax=0",
        "TasksMax=128",
        "LimitCORE=0",
        "UMask=0077",
        "NoNewPrivileges=yes",
        f"RestrictAddressFamilies={' '.join(_families(job))}",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "SystemCallErrorNumber=EPERM",
    ]


def _families(job: Job) -> list[str]:
    # cameras are found, and told of, through netlink
    return ["AF_UNIX", "AF_INET", "AF_INET6", *(["AF_NETLINK"] if devices(job) or job.network else [])]


def devices(job: Job) -> tuple[str, ...]:
    """Return what the sources open, each once."""
    return tuple(dict.fromkeys(device for kind in job.kinds for device in DEVICES.get(kind, ())))


def _user_lines(job: Job) -> list[str]:
    """Return nothing more: a user's manager may not change what the service sees of the system."""
    return []


def _system_lines(job: Job) -> list[str]:
    allowed = devices(job)
    lines = [
        "DynamicUser=yes",
        f"User={job.name}",
        *(["SupplementaryGroups=video"] if allowed else []),
        *(["DevicePolicy=closed"] if allowed else ["PrivateDevices=yes"]),
        *(f"DeviceAllow={device}" for device in allowed),
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "ProtectSystem=strict",
        # others' homes are not there at all; what the run needs of them is
        "ProtectHome=tmpfs",
        *(f"BindReadOnlyPaths={quoted_path(folder)}" for folder in job.readable),
        "PrivateTmp=yes",
        "PrivateMounts=yes",
        "ProtectProc=invisible",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "RemoveIPC=yes",
        "KeyringMode=private",
    ]
    return lines if job.network else [*lines, "IPAddressDeny=any", "IPAddressAllow=localhost"]
