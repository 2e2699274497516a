"""Pauses between attempts to reach what is away: a camera, a broker, a web address."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next attempt."""

    first_s: float = 1.0
    """Pause after the first failure, in seconds."""
    most_s: float = 60.0
    """Longest pause, in seconds."""

    def wait_s(self, failures: int, chance: float) -> float:
        """Return seconds after so many failures in a row: doubling, and between half and all of it by chance (0..1).

        Without chance a hundred boards would return in the same moment when a network comes back.
        """
        whole = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return whole * (0.5 + 0.5 * chance)
