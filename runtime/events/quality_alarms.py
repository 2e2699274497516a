"""Image health as events: too dark, too bright, blurred, frozen; each with hysteresis, and only if it lasts."""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated

from edgevit.errors import OptionError
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.image_quality import Gray, ImageQuality, change
from edgevit.runtime.moment import Moment
from edgevit.schema import Range, Share, check_options, named_fields


@named_fields
@dataclass(frozen=True)
class HealthRules:
    """Limits of a healthy picture; (enter, leave): where an alarm begins, and where it ends again.

    Raises:
        OptionError: a value is not allowed.
    """

    dark: tuple[float, float] = (0.06, 0.08)
    """Brightness, 0..1, below which the alarm begins, and above which it ends."""
    bright: tuple[float, float] = (0.94, 0.92)
    """Brightness, 0..1, above which the alarm begins, and below which it ends."""
    blurred: tuple[float, float] = (20.0, 30.0)
    """Variance of the Laplacian below which the alarm begins, above which it ends; see image_quality.measure."""
    frozen_change: Share = 0.001
    """Mean absolute difference, 0..1, from which on a picture is another one."""
    hold_s: Annotated[float, Range(0)] = 3.0
    """How long a condition must last before it is an alarm, or the end of one, in seconds."""
    frozen_s: Annotated[float, Range(0)] = 10.0
    """How long a picture must stay the same to be frozen, in seconds; more than the time between two full pictures of a
    compressed stream, in which nothing changes if nothing moves."""

    def __post_init__(self) -> None:
        check_options(self)
        for name, low, high in (("dark", *self.dark), ("bright", *self.bright[::-1]), ("blurred", *self.blurred)):
            if not low <= high:
                raise OptionError(f"the limits of {name} leave no room: it would begin and end at once; swap them")


@dataclass(frozen=True)
class Alarm:
    """One condition over time."""

    active: bool = False
    since_s: float | None = None
    """Since when the condition has been other than `active` says, on the monotonic clock; None if it agrees."""

    def after(self, wrong: bool, now_s: float, hold_s: float) -> "Alarm":
        """Return the alarm after a picture whose condition is `wrong`, at now_s."""
        if wrong == self.active:
            return Alarm(self.active)
        since_s = now_s if self.since_s is None else self.since_s
        return Alarm(wrong) if now_s - since_s >= hold_s else Alarm(self.active, since_s)


@dataclass(frozen=True, eq=False)
class HealthState:
    """What is remembered of one source."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    still: Gray | None = None
    """The sample since which nothing changed."""

    def after_gap(self) -> "HealthState":
        """Forget since when conditions last, as when the source was lost; alarms that are on stay on."""
        return HealthState({kind: Alarm(alarm.active) for kind, alarm in self.alarms.items()})


def next_health(
    rules: HealthRules, state: HealthState, health: ImageQuality, moment: Moment
) -> tuple[HealthState, tuple[Event, ...]]:
    """Take one picture's measures; return the new state, and an event for each alarm that begins or ends.

    A picture that is too dark or too bright has no edges: whether it is blurred is then not asked.
    """
    moved = None if state.still is None else change(state.still, health.sample)
    still = health.sample if moved is None or moved > rules.frozen_change else state.still
    readings = {
        "too_dark": (health.brightness, *rules.dark, rules.hold_s),
        # the same comparison upside down
        "too_bright": (-health.brightness, -rules.bright[0], -rules.bright[1], rules.hold_s),
        "blurred": (health.sharpness, *rules.blurred, rules.hold_s),
        "frozen": (1.0 if moved is None else moved, rules.frozen_change, rules.frozen_change, rules.frozen_s),
    }
    alarms, events = dict(state.alarms), []
    for kind, (value, enter, leave, hold_s) in readings.items():
        before = alarms.get(kind, Alarm())
        exposed = all(not alarms.get(name, Alarm()).active for name in ("too_dark", "too_bright"))
        if kind == "blurred" and not exposed:
            continue
        limit = leave if before.active else enter
        wrong = value <= limit if kind == "frozen" else value < limit
        # a picture that moves again is proof at once, one that stands still is not
        after = before.after(wrong, moment.monotonic_s, 0.0 if kind == "frozen" and before.active else hold_s)
        alarms[kind] = after
        if after.active != before.active:
            facts = {"active": after.active, "value": round(abs(value), 6), "limit": abs(limit)}
            events.append(Event(kind, moment, facts))
    return dataclasses.replace(state, alarms=alarms, still=still), tuple(events)
