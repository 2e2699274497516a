"""Something that is true or not, frame by frame: smoothed, and told no more often than a cool-down allows."""

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Condition:
    """What is remembered of one condition, of one region of one source."""

    votes: tuple[bool, ...] = ()
    """Whether it held in the last n frames, oldest first."""
    holds: bool = False
    """Whether it holds now."""
    told: bool = False
    """What the last event said; nothing is told of a condition that never held."""
    told_s: float | None = None
    """The time of that frame, in seconds."""

    def after_gap(self) -> "Condition":
        """Forget the votes, as when the source was lost."""
        return dataclasses.replace(self, votes=())

    def after(self, vote: bool, stable: tuple[int, int], cooldown_s: float, now_s: float) -> "Condition":
        """Return the condition after a frame; there is something to tell if `told` is another then.

        Args:
            vote: whether it holds in this frame.
            stable: (k, n): it changes when k of the last n frames, the newest among them, say so.
            cooldown_s: how long the next change is held back after one that was told, in seconds.
            now_s: time of the frame in seconds: of a video its own, which begins anew where one is read again.
        """
        required, frames = stable
        votes = (*self.votes, vote)[-frames:]
        holds = vote if votes.count(vote) >= required else self.holds
        after = dataclasses.replace(self, votes=votes, holds=holds)
        cooling = is_cooling(self.told_s, now_s, cooldown_s)
        return after if holds == self.told or cooling else dataclasses.replace(after, told=holds, told_s=now_s)


def is_cooling(told_s: float | None, now_s: float, cooldown_s: float) -> bool:
    """Tell whether at now_s an event is still held back after one at told_s, None if there was none, in seconds.

    What has a later time than now was told of the same video, read before.
    """
    return told_s is not None and 0 <= now_s - told_s < cooldown_s


@dataclass(frozen=True)
class Conditions(Generic[Key]):
    """What is remembered of several conditions."""

    known: Mapping[Key, Condition] = field(default_factory=dict)

    def after_gap(self) -> "Conditions[Key]":
        """Forget the votes of all."""
        return Conditions({key: condition.after_gap() for key, condition in self.known.items()})
