"""How often: --every and --fps, as one interval; all on clocks that are passed in."""

import math
import re
from dataclasses import dataclass

from edgevit.errors import OptionError

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|min|h|d)?", re.ASCII)
_UNITS_S = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class SamplingInterval:
    """At most one frame in each interval."""

    interval_s: float | None = None
    """In seconds; None for every frame, or as many as can be classified."""

    def next_due(self, due_s: float, now_s: float) -> float:
        """Return when the next frame is due, after one that was due at due_s and is taken at now_s.

        The rhythm is kept (5, 10, 15 s, whatever each frame took), and beats that were missed are not made up for.
        """
        if self.interval_s is None:
            return now_s
        beats = max(1, math.floor((now_s - due_s) / self.interval_s + 1e-9) + 1)
        return due_s + beats * self.interval_s


def parse_pace(every: str | float | None, fps: float | None) -> SamplingInterval:
    """Read --every ("5s", "500ms", "2m", or seconds) or --fps.

    Raises:
        OptionError: both were given, or a value is not positive.
    """
    if every is not None and fps is not None:
        raise OptionError("--every and --fps say the same thing in two ways; give one of them")
    if fps is not None:
        if not 0 < fps < math.inf:
            raise OptionError(f"--fps is {fps}, expected a number of frames a second above 0")
        return SamplingInterval(1 / fps)
    return SamplingInterval(None if every is None else parse_duration(every, "--every"))


def parse_duration(text: str | float, option: str) -> float:
    """Return seconds for "5s", "500ms", "2m", "1h", "1d", "5" or a number.

    Raises:
        OptionError: it is not a positive duration.
    """
    match = _DURATION.fullmatch(str(text).strip())
    seconds = float(match[1]) * _UNITS_S[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise OptionError(f"{option} is {text!r}, expected a time such as 5s, 500ms or 2m")
    return seconds


def parse_warmup(text: str | float) -> float:
    """Return the seconds of --warmup, which may be none at all; OptionError as `parse_duration`."""
    return 0.0 if re.fullmatch(r"0+(\.0+)?(ms|s|m|min|h|d)?", str(text).strip()) else parse_duration(text, "--warmup")
