"""Checks of what slows a processor down: the governor, the power supply, heat."""

from collections.abc import Iterator

from edgevit.device_profiles.state import governors, temperature_c, throttle_flags
from edgevit.doctor.environment import Environment, Finding

SLOW_GOVERNORS = ("powersave", "conservative")
THROTTLE_BITS = (
    (0, "under-voltage", "too little voltage reaches the board"),
    (1, "clock capped", "the clock is capped"),
    (2, "throttled", "the processor is throttled"),
    (3, "soft temperature limit", "the soft temperature limit is active"),
)
"""Bit of `vcgencmd get_throttled`, its name, what it says; 16 bits higher it says "has occurred since the start"."""
HOT_C = 80.0
"""A Raspberry Pi throttles itself from 80 degrees on, by Raspberry Pi's documentation."""


def check_governor(env: Environment) -> Iterator[Finding]:
    """Some systems start with a governor that keeps the clock low."""
    found = governors(env.root)
    slow = [name for name in found if name in SLOW_GOVERNORS]
    if slow:
        files = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        text = f"the clock's governor is {slow[0]}, which keeps it low"
        yield Finding("governor", "warn", text, f"echo ondemand | sudo tee {files}")
    elif found:
        yield Finding("governor", "ok", ", ".join(found))


def check_throttling(env: Environment) -> Iterator[Finding]:
    """A weak power supply or heat halves the speed of a Raspberry Pi without a word."""
    flags = throttle_flags(env.root, env.path)
    if flags is None:
        return
    now = [(name, text) for bit, name, text in THROTTLE_BITS if flags >> bit & 1]
    before = [name for bit, name, _ in THROTTLE_BITS if flags >> (bit + 16) & 1]
    cool = "fit a heat sink or a fan; watch it: vcgencmd measure_temp"
    supply = "use the board's own power supply and a short cable; watch it: vcgencmd get_throttled"
    if now:
        level = "fail" if flags & 1 else "warn"
        text = f"{'; '.join(text for _, text in now)} (flags {flags:#x})"
        yield Finding("throttling", level, text, supply if flags & 1 else cool)  # type: ignore[arg-type]
    elif before:
        text = f"since the start there was {', '.join(before)} (flags {flags:#x})"
        yield Finding("throttling", "warn", text, supply if flags & 0x10000 else cool)
    else:
        yield Finding("throttling", "ok", "neither under-voltage nor throttling since the start")


def check_temperature(env: Environment) -> Iterator[Finding]:
    """Heat comes before throttling."""
    hottest = temperature_c(env.root)
    if hottest is None:
        return
    if hottest >= HOT_C:
        yield Finding(
            "temperature", "warn", f"{hottest:.0f} °C; the clock falls from 80 on", "fit a heat sink or a fan"
        )
    else:
        yield Finding("temperature", "ok", f"{hottest:.0f} °C")
