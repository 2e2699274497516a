"""When and where a frame was read, its id, and time as text."""

import datetime
import hashlib
import json
from dataclasses import dataclass

FrameKey = tuple[str, int, float]
"""What tells a frame from all others of a run."""


@dataclass(frozen=True)
class Moment:
    """Which frame, and when."""

    source: str
    """The camera, stream or file."""
    sequence: int
    """Number of the frame in this run, of its source."""
    monotonic_s: float
    """Seconds of a clock that is never set: all intervals are measured with it."""
    wall_s: float
    """Unix time in seconds: a label only, as somebody may set the clock."""
    roi: str | None = None
    """Name of the region of the picture, if the picture was divided."""

    @property
    def frame(self) -> FrameKey:
        """Its source and number, and when it was read: a file that is given twice has its number twice."""
        return self.source, self.sequence, self.monotonic_s


def record_id(kind: str, source: str | None, roi: str | None, sequence: int, wall_s: float) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of what makes a record this one, its time in microseconds."""
    what = json.dumps([kind, source, roi, sequence, round(wall_s * 1e6)])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def clock_time(wall_s: float) -> str:
    """Return Unix time as this machine's clock on the wall shows it, such as 12:04:31."""
    return datetime.datetime.fromtimestamp(wall_s).strftime("%H:%M:%S")


def position_time(position_s: float) -> str:
    """Return a time within a video, such as 0:01:05.20."""
    hundredths = round(100 * position_s)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"


def iso_time(wall_s: float) -> str:
    """Return Unix time as UTC, such as 2026-11-20T13:36:31.250Z."""
    utc = datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
