"""Whether a class is above its limit, whatever the others are: "bare soil above 30 %", or one of several labels."""

from edgevit.runtime.events.condition import Condition, Conditions
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result, class_share


def next_areas(
    rules: LabelRules, states: Conditions[str], result: Result, moment: Moment
) -> tuple[Conditions[str], tuple[Event, ...]]:
    """Take one frame's areas, or the probabilities of classes of which several may be there at once.

    Return the new states, and an event for each class that rose above its limit or fell. Limits are the rules'
    thresholds: of areas those of single classes alone, as every class has some area. Smoothing, hysteresis and
    cool-down are as for labels.
    """
    classes, events = {}, []
    kind = "class" if result.multi_label else "area"
    watched = set(result.names) if result.multi_label else set(rules.thresholds) & set(result.names)
    for label in sorted(watched):
        area = class_share(result, label)
        before = states.known.get(label, Condition())
        vote = area >= (rules.leave(label) if before.holds else rules.enter(label))
        classes[label] = after = before.after(vote, rules.stable, rules.cooldown_s, result.time_s(moment))
        if after.told != before.told:
            facts = {"label": label, "active": after.told, "value": round(area, 6), "limit": rules.enter(label)}
            events.append(Event(kind, moment, facts))
    return Conditions(classes), tuple(events)
