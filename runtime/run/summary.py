"""What a run has done: while it goes on, and at its end."""

from dataclasses import dataclass

from edgevit.runtime.sinks.combining import Written
from edgevit.text import rough_time


@dataclass(frozen=True)
class RunSummary:
    """What a run that has ended did."""

    results: int
    """Answers, one for each frame or each of its regions."""
    unreadable: int
    """Pictures that could not be read, and were skipped."""
    live: bool
    """Whether a picture of a camera or stream was classified: those send a damaged one now and then."""
    frames: int = 0
    """Pictures that were classified."""
    events: int = 0
    """What happened, as docs/events.md describes it."""
    written: tuple[Written, ...] = ()
    """What went to each place."""
    skipped: int = 0
    """Pictures that had rows already, from an earlier run."""

    @property
    def complete(self) -> bool:
        """Whether each picture has its answer where it was asked for; of a live run, which loses some, always."""
        return self.live or not (self.unreadable or any(each.lost or each.left for each in self.written))

    def __str__(self) -> str:
        """Return one line for people."""
        counts = f"{_count(self.frames, 'frame')}, {_count(self.events, 'event')}"
        before = [f"{_count(self.skipped, 'picture')} done before"] if self.skipped else []
        return "; ".join([counts, *(str(each) for each in self.written), *before])


@dataclass(frozen=True)
class RunProgress:
    """How far a run with `jobs` has come."""

    done: int
    """Pictures that were answered, or could not be, in this run."""
    total: int
    """Pictures that this run has to do."""
    unreadable: int
    """How many of those done have no answer."""
    elapsed_s: float
    """Time since the first picture was given out, in seconds."""

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """How long the others will take at this rate, in seconds; None while nothing is done."""
        return (self.total - self.done) / self.rate if self.rate else None

    def __str__(self) -> str:
        """Return one line for people: "1,200 of 10,000 pictures, 45.2 a second, 3 min left, 2 without an answer"."""
        parts = [f"{self.done:,} of {_count(self.total, 'picture')}"]
        if self.left_s is not None:
            parts.append(f"{self.rate:.1f} a second")
            parts += [f"{rough_time(self.left_s)} left"] if self.done < self.total else []
        parts += [f"{self.unreadable:,} without an answer"] if self.unreadable else []
        return ", ".join(parts)


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
