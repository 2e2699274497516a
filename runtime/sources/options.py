"""How a source is to be read."""

from dataclasses import dataclass, replace

from edgevit.errors import OptionError
from edgevit.runtime.sources.camera_settings import CameraSettings
from edgevit.runtime.sources.grammar import Kind
from edgevit.runtime.sources.raw import RawForm
from edgevit.runtime.sources.sampling import SamplingInterval

CAMERAS: tuple[Kind, ...] = ("camera", "picam")
"""Kinds of sources that are opened here, and not by somebody else's server."""
FINITE: tuple[Kind, ...] = ("path", "video", "sequence")
"""Kinds of files, which are never lost."""
WARMUP_S = 2.0
"""What a camera needs to find its exposure, in seconds; a stream's camera runs already."""
STALL_S = 10.0
"""How long a camera or stream may give no picture, in seconds."""


@dataclass(frozen=True)
class SourceOptions:
    """What is asked for with options; which source heeds which is in docs/sources.md."""

    pace: SamplingInterval = SamplingInterval()
    raw: RawForm | None = None
    """Form of the raw frames that stdin and tcp bring; None for MJPEG."""
    stall_s: float = STALL_S
    """A live source that gives no picture for so long is lost, in seconds."""
    wait: bool = True
    """Whether to wait for a live source that is lost, and try again; else the loss is an error."""
    capture_size: tuple[int, int] | None = None
    """(height, width) in pixels to ask a camera for."""
    warmup_s: float | None = None
    """How long the pictures of a live source that was just opened are shown to nobody; None for what suits it."""
    settings: CameraSettings = CameraSettings()
    """What cameras are set to."""
    only_live: tuple[str, ...] = ()
    """Options that were given and say something only of what may be lost."""

    def check_files(self, found: str) -> None:
        """Raise OptionError for an option that says nothing where `found`, which ends, is read."""
        if self.only_live:
            raise OptionError(f"{self.only_live[0]} is for cameras and streams, but {found}; leave it out")

    def suited_to(self, kind: Kind) -> "SourceOptions":
        """Return the same for a kind of source, with the warm-up that suits it."""
        if self.warmup_s is not None:
            return self
        return replace(self, warmup_s=WARMUP_S if kind in CAMERAS else 0.0)

    @property
    def result_limit_s(self) -> float:
        """How long the next result of a healthy run may take: two intervals, stall timeout, and warm-up, in seconds."""
        return 2 * (self.pace.interval_s or 0.0) + self.stall_s + (self.warmup_s or 0.0)

    @property
    def on_demand(self) -> bool:
        """Whether so few frames are wanted that decoding those between them is a waste."""
        return self.pace.interval_s is not None and self.pace.interval_s >= 0.5
