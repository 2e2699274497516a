"""How a source is to be read."""

from dataclasses import dataclass

from edgevit.runtime.sources.raw import RawForm
from edgevit.runtime.sources.sampling import SamplingInterval


@dataclass(frozen=True)
class SourceOptions:
    """What is asked for with options; which source heeds which is in docs/sources.md."""

    pace: SamplingInterval = SamplingInterval()
    raw: RawForm | None = None
    """Form of the raw frames that stdin and tcp bring; None for MJPEG."""
    stall_s: float = 10.0
    """A live source that gives no picture for so long is lost, in seconds."""
    wait: bool = True
    """Whether to wait for a live source that is lost, and try again; else the loss is an error."""
    capture_size: tuple[int, int] | None = None
    """(height, width) in pixels to ask a camera for."""

    @property
    def result_limit_s(self) -> float:
        """How long the next result of a healthy run may take: two intervals and the stall timeout, in seconds."""
        return 2 * (self.pace.interval_s or 0.0) + self.stall_s

    @property
    def on_demand(self) -> bool:
        """Whether so few frames are wanted that decoding those between them is a waste."""
        return self.pace.interval_s is not None and self.pace.interval_s >= 0.5
