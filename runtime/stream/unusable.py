"""Pictures of a source that cannot be used, black or damaged: what is remembered of them, and when that is an event."""

from edgevit.errors import ImageError
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment

BLACK = 16
"""A live picture none of whose sampled levels is higher is no picture: black in limited range, 16, wrongly decoded."""

_SAMPLE = 16
"""Every 16th pixel along each side is sampled."""


class SourceState:
    """What is remembered of the pictures of one source."""

    def __init__(self, usable_s: float, hold_s: float) -> None:
        """Begin at a time on the monotonic clock; nothing but black or damaged pictures for `hold_s` is an event."""
        self.usable_s = usable_s
        """When the last one was classified, on the monotonic clock, in seconds."""
        self.blackout, self.outage = Blackout(hold_s), Outage(hold_s)
        self.damaged = False
        """Whether it was told that they cannot be read."""


class Blackout:
    """Tells when a live source has been black for a while, and when it no longer is."""

    def __init__(self, hold_s: float) -> None:
        """Tell after so many seconds of nothing but black."""
        self._lasting = Lasting(hold_s)

    def after(self, black: bool, moment: Moment) -> Event | None:
        changed = self._lasting.after(black, moment.monotonic_s)
        return Event("too_dark", moment, {"active": black, "black": True}) if changed else None


class Outage:
    """Tells when a live source has given only pictures that cannot be read for a while, and when it no longer does."""

    def __init__(self, hold_s: float) -> None:
        """Tell after so many seconds of nothing else."""
        self._lasting = Lasting(hold_s)
        self._lost_s = 0.0

    def gap(self) -> None:
        """Begin anew, as when the source was lost: who reads it tells when it is back."""
        self._lasting.end()

    def after(self, damaged: bool, moment: Moment) -> Event | None:
        if not self._lasting.after(damaged, moment.monotonic_s):
            return None
        if damaged:
            self._lost_s = moment.monotonic_s
            return Event("source_lost", moment, {"reason": "none of its pictures can be read"})
        return Event("source_back", moment, {"away_s": round(moment.monotonic_s - self._lost_s, 3)})


class Lasting:
    """Whether something has gone on for a while; its end counts at once."""

    def __init__(self, hold_s: float) -> None:
        """It counts after so many seconds."""
        self._hold_s = hold_s
        self._since_s: float | None = None
        self._counts = False

    def after(self, there: bool, now_s: float) -> bool:
        """Take whether it is there now; tell whether that changes what counts."""
        before = self._counts
        if there:
            self._since_s = now_s if self._since_s is None else self._since_s
            self._counts = self._counts or now_s - self._since_s >= self._hold_s
        else:
            self.end()
        return self._counts != before

    def end(self) -> None:
        """Let it be gone."""
        self._since_s, self._counts = None, False


def is_black(image: RGBImage) -> bool:
    """Tell whether an (H, W, 3) picture shows nothing at all, as of a camera whose signal is gone."""
    return bool(image[::_SAMPLE, ::_SAMPLE].max() <= BLACK)


def of_source(error: ImageError, source: str) -> ImageError:
    """Return the error with the source's name in front, unless it begins with that, as a file's own does."""
    text = error.command_line_text
    return error if text.startswith(source) else ImageError(f"{source}: {text}")
