"""What the checks look at: a machine, or a tree of files and stub commands made like one."""

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgevit.system.platforms import require_linux

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    text: str
    """One line."""
    remedy: str = ""
    """The command that mends it, or what to do where no command can."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    """Exit status; negative for the signal that killed it."""
    out: str
    err: str

    @property
    def signal_name(self) -> str:
        """The signal that killed it, such as "SIGILL"; "" if none did. A shell's 128 + signal counts too."""
        number = -self.code if self.code < 0 else self.code - 128
        return signal.Signals(number).name if number in set(signal.Signals) else ""

    @property
    def last_error(self) -> str:
        """The last line of stderr."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1][:200] if lines else "no message"


@dataclass(frozen=True)
class Environment:
    """A machine and a process on it."""

    root: Path
    """Where /proc, /sys, /dev, /run and /etc begin."""
    path: str
    """PATH, where commands are looked for."""
    python: str
    """The interpreter that imports are tried with."""
    version: tuple[int, int]
    """Major and minor version of Python."""
    machine: str
    """As uname says: "aarch64"."""
    bits: int
    """Width of the process: 32 or 64."""
    packages: Mapping[str, str]
    """Installed distributions to their versions, names in lower case with dashes."""
    user: int
    groups: frozenset[int]
    pid: int
    free_mb: int
    """Space left for files here."""
    display: bool
    """Whether windows can be opened."""
    model: Path | None = None

    def text(self, name: str) -> str:
        """Return a file's text without the white space around it; "" if it cannot be read."""
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
        except OSError:
            return ""

    def files(self, pattern: str) -> list[Path]:
        """Return the paths below the root that match, in order of their names."""
        return sorted(self.root.glob(pattern))

    def name_of(self, path: Path) -> str:
        """Return how a path below the root is called on the machine: "/dev/video0"."""
        return f"/{path.relative_to(self.root)}"

    def has_command(self, name: str) -> bool:
        return shutil.which(name, path=self.path) is not None

    def run(self, *words: str, timeout_s: float = 120.0) -> Outcome | None:
        """Run a command of PATH, or one given by its path; None if there is none, or if it does not end in time."""
        found = shutil.which(words[0], path=self.path)
        if found is None:
            return None
        try:
            done = subprocess.run(
                [found, *words[1:]], capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Outcome(done.returncode, done.stdout, done.stderr)


def this_machine(model: Path | None = None) -> Environment:
    """Return the environment of this process.

    Raises:
        UnsupportedSystemError: this is not Linux, of whose boards the checks know.
    """
    require_linux("`edgevit doctor` knows the troubles of boards and")
    return Environment(
        root=Path("/"),
        path=os.environ.get("PATH", os.defpath),
        python=sys.executable,
        version=sys.version_info[:2],
        machine=os.uname().machine,
        bits=64 if sys.maxsize > 2**32 else 32,
        packages=installed_packages(),
        user=os.getuid(),
        groups=frozenset({os.getgid(), *os.getgroups()}),
        pid=os.getpid(),
        free_mb=shutil.disk_usage(Path.cwd()).free // 2**20,
        display=bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")),
        model=model,
    )


def installed_packages() -> dict[str, str]:
    """Return the distributions that this Python can import; of two with one name, the one that is imported."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a broken installation has none
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "4.12.0.88rc1" is (4, 12, 0, 88)."""
    return tuple(int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part)  # type: ignore[index]
