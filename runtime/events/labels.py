"""Which class is there: votes of single frames, smoothed, with hysteresis, "unknown" and a cool-down."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from edgevit.errors import OptionError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.condition import is_cooling
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Limit, Result, class_share
from edgevit.schema import Range, Share, check_options, named_fields, read_number

UNKNOWN = "unknown"
"""The label of a frame in which no class reaches its threshold."""

EVEN = 0.5
"""Threshold of a class that is there or not whatever the others are."""
Thresholds = float | str | Sequence[float | str] | Mapping[str, float]
"""0.6 for all classes, "fox=0.8" or {"fox": 0.8} for one, or a list of such texts."""


@named_fields
@dataclass(frozen=True)
class LabelRules:
    """When the label of a picture counts as changed.

    Raises:
        OptionError: a value is not allowed.
    """

    stable: tuple[int, int] = (1, 1)
    """(k, n): a label enters when k of the last n frames, the newest among them, vote for it."""
    threshold: Share | None = None
    """Confidence, 0..1, from which the best class is believed; below, the frame votes for "unknown". None where nobody
    said one: then a detector's own holds, 0.5 where several classes may be true, else 0."""
    thresholds: Mapping[str, Share] = field(default_factory=dict)
    """The same for single classes."""
    hysteresis: Share = 0.0
    """How far, 0..1, the confidence of the present label may sink below its threshold before it is given up."""
    cooldown_s: Annotated[float, Range(0)] = 0.0
    """How long after an event for a label the next for the same label is held back, in seconds."""

    def __post_init__(self) -> None:
        check_options(self)
        required, frames = self.stable
        if not 1 <= required <= frames:
            raise OptionError(f"--stable is {required}/{frames}, expected k/n with 1 <= k <= n, such as 3/5")

    def for_several(self) -> "LabelRules":
        """Return the rules for answers of which several classes may be true: from even odds on, unless told."""
        return self if self.threshold is not None else dataclasses.replace(self, threshold=EVEN)

    @property
    def common(self) -> float:
        """Confidence, 0..1, from which classes are believed that have no threshold of their own."""
        return 0.0 if self.threshold is None else self.threshold

    def enter(self, label: str) -> float:
        return self.thresholds.get(label, self.common)

    def shown_from(self, result: Result) -> Limit:
        """Return from which confidence on an answer's classes are shown.

        Thresholds of single areas say when an event comes, and boxes below theirs are left out of the answer already.
        """
        if isinstance(result, Detections):
            return 0.0
        return self.common if result.of_areas else self.enter

    def leave(self, label: str) -> float:
        return self.enter(label) - self.hysteresis

    def check_names(self, names: Sequence[str]) -> None:
        """Raise OptionError for a threshold of a class that a model with these names does not have."""
        for label, value in self.thresholds.items():
            if label not in (*names, UNKNOWN):
                raise OptionError(
                    f"--threshold {label}={value:g}: the model has no class {label!r}; it has {', '.join(names)}"
                )


@dataclass(frozen=True)
class LabelState:
    """What is remembered of the frames so far, of one region of one source."""

    votes: tuple[str, ...] = ()
    """Labels of the last n frames, oldest first."""
    label: str | None = None
    """The label that is there now; None before the first."""
    told: str | None = None
    """The label of the last event."""
    told_s: Mapping[str, float] = field(default_factory=dict)
    """For each label the time of its last event's frame, in seconds."""

    def after_gap(self) -> "LabelState":
        """Forget the votes, as when the source was lost: frames from before do not count with those after."""
        return dataclasses.replace(self, votes=())


def next_state(
    rules: LabelRules, state: LabelState, result: Result, moment: Moment
) -> tuple[LabelState, tuple[Event, ...]]:
    """Take one frame's answer; return the new state, and the event if the label changed.

    The first label is an event too. A change that falls into the cool-down of its label is told when that is over, if
    it is still true then: whoever follows the events is late at most by the cool-down, and never wrong for longer.
    """
    required, frames = rules.stable
    vote = frame_vote(rules, state.label, result)
    votes = (*state.votes, vote)[-frames:]
    label = vote if Counter(votes)[vote] >= required else state.label
    state = dataclasses.replace(state, votes=votes, label=label)
    now_s = result.time_s(moment)
    if label is None or label == state.told or is_cooling(state.told_s.get(label), now_s, rules.cooldown_s):
        return state, ()
    facts = {"label": label, "previous": state.told, "conf": round(_confidence(result, label), 6)}
    told = dataclasses.replace(state, told=label, told_s={**state.told_s, label: now_s})
    return told, (Event("label", moment, facts),)


def frame_vote(rules: LabelRules, present: str | None, result: Result) -> str:
    """Return what one frame speaks for: its best class if it is believed, else the present label if it still holds."""
    best = result.top1
    if result.top1_conf >= rules.enter(best):
        return best
    if present is not None and present != UNKNOWN and _confidence(result, present) >= rules.leave(present):
        return present
    return UNKNOWN


def _confidence(result: Result, label: str) -> float:
    """Return the label's probability; for "unknown" that of the best class."""
    if label in result.names:
        return class_share(result, label)
    return result.top1_conf


def parse_stable(text: str) -> tuple[int, int]:
    """Read "3/5": (3, 5)."""
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise OptionError(f"--stable is {text!r}, expected k/n with 1 <= k <= n, such as 3/5")
    return int(match[1]), int(match[2])


def read_thresholds(given: Thresholds) -> tuple[float | None, dict[str, float]]:
    """Read 0.6 or "0.6" (all classes), "fox=0.8" or {"fox": 0.8} (one class), or a list of such.

    Return the threshold of all classes, None if absent, and those of single classes by name.

    Raises:
        OptionError: one is something else, or is about the same as another.
    """
    if isinstance(given, Mapping):
        given = [f"{label}={value}" for label, value in given.items()]
    found: dict[str | None, float] = {}
    for one in [given] if isinstance(given, str | float | int) else given:
        label, equals, number = str(one).rpartition("=")
        try:
            value = read_number(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise OptionError(f"--threshold is {one!r}, expected a number from 0 to 1 such as 0.6, or CLASS=0.8")
        # a class may have no name
        about = label if equals else None
        if about in found:
            raise OptionError(f"--threshold stands twice for {about or 'all classes'}; leave one of them out")
        found[about] = value
    common = found.pop(None, None)
    return common, {label: value for label, value in found.items() if label is not None}
