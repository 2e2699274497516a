"""Where a benchmark ran, and whether the machine's state lets its figures be trusted."""

import functools
import importlib.metadata
import operator
from collections.abc import Sequence
from pathlib import Path

from edgevit.device_profiles.evidence import machine_name
from edgevit.device_profiles.state import ROOT, MachineState
from edgevit.runtime.benchmark.report import Machine
from edgevit.system.platforms import usable_cores

FLAGS = {0: "under-voltage", 1: "the clock was capped", 2: "throttled", 3: "at the soft temperature limit"}
"""Bits of get_throttled that hold now; 16 bits higher, the same has happened since the start."""
PACKAGES = ("edgevit", "onnxruntime", "ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless")
OTHERS = 0.15
"""Cores that other processes may keep busy before the machine counts as loaded."""
SLOWER = 0.9
"""The clock's share of what it was in the first round, below which the processor has slowed down."""


def describe_machine(root: Path = ROOT) -> Machine:
    """Return the machine's name, the cores this process may use, and the packages that matter."""
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(machine_name(root), len(usable_cores()), packages)


def worst(states: Sequence[MachineState]) -> MachineState:
    """Return the hottest temperature, the lowest clock, and every flag of several moments."""
    flags = [state.throttle_flags for state in states if state.throttle_flags is not None]
    return MachineState(
        temperature_c=max((s.temperature_c for s in states if s.temperature_c is not None), default=None),
        clock_mhz=min((s.clock_mhz for s in states if s.clock_mhz is not None), default=None),
        governor=", ".join(sorted({s.governor for s in states if s.governor})) or None,
        throttle_flags=functools.reduce(operator.or_, flags) if flags else None,
        throttle_count=max((s.throttle_count for s in states if s.throttle_count is not None), default=None),
        load=max(state.load for state in states),
    )


def find_taints(
    before: MachineState, during: Sequence[MachineState], after: MachineState, others: float
) -> tuple[str, ...]:
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
