"""Whether a class is above its limit, whatever the others are: "bare soil above 30 %", or one of several labels."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result


@dataclass(frozen=True)
class AreaState:
    """What is remembered of one class, of one region of one source."""

    votes: tuple[bool, ...] = ()
    """Whether its area was above the limit in the last n frames, oldest first."""
    above: bool = False
    """Whether it is above now."""
    told: bool = False
    """What the last event said; nothing is told of a class that was never above."""
    told_s: float | None = None
    """When that was, on the monotonic clock, in seconds."""

    def after_gap(self) -> "AreaState":
        """Forget the votes, as when the source was lost."""
        return dataclasses.replace(self, votes=())


@dataclass(frozen=True)
class AreaStates:
    """What is remembered of all classes that have a limit."""

    classes: Mapping[str, AreaState] = field(default_factory=dict)

    def after_gap(self) -> "AreaStates":
        return AreaStates({label: state.after_gap() for label, state in self.classes.items()})


def next_areas(
    rules: LabelRules, states: AreaStates, result: Result, moment: Moment
) -> tuple[AreaStates, tuple[Event, ...]]:
    """Take one frame's areas, or the probabilities of classes of which several may be there at once.

    Return the new states, and an event for each class that rose above its limit or fell. Limits are the rules'
    thresholds: of areas those of single classes alone, as every class has some area. Smoothing, hysteresis and
    cool-down are as for labels.
    """
    classes, events = {}, []
    kind = "class" if result.multi_label else "area"
    watched = set(result.names) if result.multi_label else set(rules.thresholds) & set(result.names)
    for label in sorted(watched):
        area = float(result.probs[result.names.index(label)])
        before = states.classes.get(label, AreaState())
        classes[label] = after = _after(rules, label, before, area, moment)
        if after.told != before.told:
            facts = {"label": label, "active": after.told, "value": round(area, 6), "limit": rules.enter(label)}
            events.append(Event(kind, moment, facts))
    return AreaStates(classes), tuple(events)


def _after(rules: LabelRules, label: str, before: AreaState, area: float, moment: Moment) -> AreaState:
    min_size, frames = rules.stable
    vote = area >= (rules.leave(label) if before.above else rules.enter(label))
    votes = (*before.votes, vote)[-frames:]
    state = dataclasses.replace(before, votes=votes, above=vote if votes.count(vote) >= min_size else before.above)
    cooling = state.told_s is not None and moment.monotonic_s - state.told_s < rules.cooldown_s
    if state.above == state.told or cooling:
        return state
    return dataclasses.replace(state, told=state.above, told_s=moment.monotonic_s)
