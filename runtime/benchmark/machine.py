"""The machine's own account of its heat, clock and load, from /proc, /sys and Raspberry Pi's vcgencmd.

Everything is read below a root folder, so that a made tree can stand in for a board.
"""

import functools
import importlib.metadata
import operator
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgevit.runtime.benchmark.report import Machine, State

ROOT = Path("/")
FIRMWARE_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
VCGENCMD = "usr/bin/vcgencmd"
FLAGS = {0: "under-voltage", 1: "the clock was capped", 2: "throttled", 3: "at the soft temperature limit"}
"""Bits of get_throttled that hold now; 16 bits higher, the same has happened since the start."""
PACKAGES = ("edgevit", "onnxruntime", "ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless")
OTHERS = 0.15
"""Cores that other processes may keep busy before the machine counts as loaded."""
SLOWER = 0.9
"""The clock's share of what it was in the first round, below which the processor has slowed down."""


def describe_machine(root: Path = ROOT) -> Machine:
    """Return the machine's name, the cores this process may use, and the packages that matter."""
    named = re.search(r"^(?:Model|model name)\s*:\s*(.+)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    name = _text(root / "proc/device-tree/model").strip("\0\n ") or (named[1] if named else os.uname().machine)
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(name, len(os.sched_getaffinity(0)), packages)


def read_state(root: Path = ROOT) -> State:
    """Return what the machine says of itself now."""
    temperatures = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    clocks = _numbers(root, "sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq")
    governors = {_text(path).strip() for path in root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")}
    counts = _numbers(root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")
    load = _text(root / "proc/loadavg").split()
    return State(
        temperature_c=max(temperatures) / 1000 if temperatures else None,
        clock_mhz=max(clocks) / 1000 if clocks else None,
        governor=", ".join(sorted(governors)) or None,
        throttle_flags=_throttle_flags(root),
        throttle_count=int(sum(counts)) if counts else None,
        load=float(load[0]) if load else 0.0,
    )


def worst(states: Sequence[State]) -> State:
    """Return the hottest temperature, the lowest clock, and every flag of several moments."""
    flags = [state.throttle_flags for state in states if state.throttle_flags is not None]
    return State(
        temperature_c=max((s.temperature_c for s in states if s.temperature_c is not None), default=None),
        clock_mhz=min((s.clock_mhz for s in states if s.clock_mhz is not None), default=None),
        governor=", ".join(sorted({s.governor for s in states if s.governor})) or None,
        throttle_flags=functools.reduce(operator.or_, flags) if flags else None,
        throttle_count=max((s.throttle_count for s in states if s.throttle_count is not None), default=None),
        load=max(state.load for state in states),
    )


def find_taints(before: State, during: Sequence[State], after: State, others: float) -> tuple[str, ...]:
    """Return why figures measured between two moments are not to be trusted.

    Args:
        before: the state before.
        during: the states after each round.
        after: the state after.
        others: how many cores other processes kept busy, on average.
    """
    reasons = []
    now = worst([before, *during, after]).throttle_flags or 0
    since = (after.throttle_flags or 0) & ~(before.throttle_flags or 0)
    reasons += [text for bit, text in FLAGS.items() if now >> bit & 1 or since >> (bit + 16) & 1]
    if (after.throttle_count or 0) > (before.throttle_count or 0):
        reasons.append("throttled")
    clocks = [state.clock_mhz for state in during if state.clock_mhz]
    if clocks and min(clocks) < SLOWER * clocks[0]:
        reasons.append(f"the clock fell from {clocks[0]:.0f} to {min(clocks):.0f} MHz")
    if others > OTHERS:
        reasons.append(f"other processes kept {others:.1f} cores busy")
    return tuple(reasons)


def busy_seconds(root: Path = ROOT) -> float:
    """Return the processor time of all processes together since the start, in seconds."""
    fields = _text(root / "proc/stat").partition("\n")[0].split()[1:]
    # user, nice, system, idle, iowait, irq, softirq, steal
    busy = [int(value) for index, value in enumerate(fields[:8]) if index not in (3, 4)]
    return sum(busy) / os.sysconf("SC_CLK_TCK")


def _throttle_flags(root: Path) -> int | None:
    text = _text(root / FIRMWARE_FLAGS).strip()
    if not text and (root / VCGENCMD).is_file():
        done = subprocess.run([root / VCGENCMD, "get_throttled"], capture_output=True, text=True, timeout=10)
        text = done.stdout.strip().removeprefix("throttled=")
    try:
        return int(text, 16)
    except ValueError:
        return None


def _numbers(root: Path, pattern: str) -> list[float]:
    """Return the numbers in all files of a pattern; a sensor may exist and refuse to be read."""
    texts = [_text(path).strip() for path in root.glob(pattern)]
    return [float(text) for text in texts if re.fullmatch(r"-?\d+", text)]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
