"""What a machine is doing: heat, clock, governor, throttling, memory and load, from /proc, /sys and vcgencmd.

Everything is read below a root folder, so that a made tree can stand in for a board.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
FIRMWARE_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
VCGENCMD = "vcgencmd"
"""Raspberry Pi's command, for kernels that have no file of FIRMWARE_FLAGS."""


@dataclass(frozen=True)
class MachineState:
    """What the machine says of itself at a moment; None where it does not say."""

    temperature_c: float | None
    """Temperature of the hottest zone."""
    clock_mhz: float | None
    """Clock of the fastest core."""
    governor: str | None
    """Name of the clock's governor; several are separated by commas."""
    throttle_flags: int | None
    """Raspberry Pi's get_throttled: bits 0 to 3 hold now, and 16 bits higher the same since the start."""
    throttle_count: int | None
    """How often x86 cores have throttled since the start."""
    load: float
    """Processes that wanted to run, averaged over the last minute."""


@dataclass(frozen=True)
class Memory:
    """A machine's memory in MiB; 0 where it does not say."""

    total_mb: int
    available_mb: int
    swap_mb: int


def read_state(root: Path = ROOT) -> MachineState:
    """Return what the machine says of itself now."""
    clocks = _numbers(root, "sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq")
    counts = _numbers(root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")
    load = _text(root / "proc/loadavg").split()
    return MachineState(
        temperature_c=temperature_c(root),
        clock_mhz=max(clocks) / 1000 if clocks else None,
        governor=", ".join(governors(root)) or None,
        throttle_flags=throttle_flags(root),
        throttle_count=int(sum(counts)) if counts else None,
        load=float(load[0]) if load else 0.0,
    )


def temperature_c(root: Path = ROOT) -> float | None:
    """Return the temperature of the hottest zone, None where there is none."""
    temperatures = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    return max(temperatures) / 1000 if temperatures else None


def governors(root: Path = ROOT) -> list[str]:
    """Return the names of the clocks' governors, each once, in order."""
    texts = (_text(path).strip() for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
    return sorted(set(filter(None, texts)))


def throttle_flags(root: Path = ROOT, path: str | None = None) -> int | None:
    """Return the flags of Raspberry Pi's firmware, from its file or its command; None where there is neither.

    Args:
        root: where /sys begins.
        path: folders in which the command is looked for; the root's /usr/bin unless given.
    """
    text = _text(root / FIRMWARE_FLAGS).strip()
    command = shutil.which(VCGENCMD, path=path or str(root / "usr/bin"))
    if not text and command is not None:
        try:
            done = subprocess.run([command, "get_throttled"], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        text = done.stdout.strip().removeprefix("throttled=")
    try:
        return int(text, 16)
    except ValueError:
        return None


def read_memory(root: Path = ROOT) -> Memory:
    """Return how much memory there is, how much of it programs can still have, and how much swap."""
    found = dict(re.findall(r"^(\w+):\s*(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE))
    return Memory(*(int(found.get(key, 0)) // 1024 for key in ("MemTotal", "MemAvailable", "SwapTotal")))


def peak_memory_bytes(root: Path = ROOT) -> int:
    """Return this program's largest resident memory; getrusage would count the parent's, from before the start."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", _text(root / "proc/self/status"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def busy_seconds(root: Path = ROOT) -> float:
    """Return the processor time of all processes together since the start, in seconds; 0 where it is not told."""
    fields = _text(root / "proc/stat").partition("\n")[0].split()[1:]
    # user, nice, system, idle, iowait, irq, softirq, steal
    busy = [int(value) for index, value in enumerate(fields[:8]) if index not in (3, 4)]
    return sum(busy) / os.sysconf("SC_CLK_TCK") if busy else 0.0


def _numbers(root: Path, pattern: str) -> list[float]:
    """Return the numbers in all files of a pattern; a sensor may exist and refuse to be read."""
    texts = [_text(path).strip() for path in root.glob(pattern)]
    return [float(text) for text in texts if re.fullmatch(r"-?\d+", text)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
