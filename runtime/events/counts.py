"""How many there are, as rules: "at least ten hens", "no egg", "a fox in the coop"; each for itself."""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from edgevit.errors import OptionError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.condition import Condition, Conditions
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import check_region
from edgevit.runtime.moment import Moment
from edgevit.schema import Range, check_options, named_fields

COMPARISONS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}

_RULE = re.compile(r"\s*(.*?[^\s<>=])\s*(>=|<=|==|>|<)\s*([0-9]{1,6})\s*(?:@\s*(.*\S)\s*)?", re.DOTALL)


@dataclass(frozen=True)
class CountRule:
    """A class and a limit of how many of it there are."""

    label: str
    comparison: str
    """A key of COMPARISONS."""
    limit: int
    region: str | None = None
    """Name of the region in which boxes are counted; None for the whole picture."""

    def __post_init__(self) -> None:
        """Raise OptionError for a value of a wrong type, a comparison that does not exist, or one that none changes."""
        check_options(self)
        if self.comparison not in COMPARISONS:
            raise OptionError(f"a count is compared by {self.comparison!r}, expected {', '.join(COMPARISONS)}")
        if self.limit < 0 or (self.limit == 0 and self.comparison in (">=", "<")):
            raise OptionError(f"--count {self} is the same for every picture; no count is below 0")

    def holds(self, count: int) -> bool:
        """Tell whether so many objects are what the rule asks for."""
        return bool(COMPARISONS[self.comparison](count, self.limit))

    def __str__(self) -> str:
        """Return the rule as `parse_count` reads it."""
        return f"{self.label}{self.comparison}{self.limit}" + ("" if self.region is None else f"@{self.region}")


@named_fields
@dataclass(frozen=True)
class CountRules:
    """When a count is told of.

    Raises:
        OptionError: a value is not allowed, or a rule stands twice.
    """

    rules: Sequence[CountRule] = ()
    stable: tuple[int, int] = (1, 1)
    """(k, n): a rule begins or ends to hold when k of the last n frames, the newest among them, say so."""
    cooldown_s: Annotated[float, Range(0)] = 0.0
    """How long after an event of a rule its next one is held back, in seconds."""

    def __post_init__(self) -> None:
        check_options(self)
        double = next((rule for rule in self.rules if list(self.rules).count(rule) > 1), None)
        if double is not None:
            raise OptionError(f"--count {double} stands twice; leave one of them out")
        required, frames = self.stable
        if not 1 <= required <= frames:
            raise OptionError(f"--stable is {required}/{frames}, expected k/n with 1 <= k <= n, such as 3/5")

    def check_names(self, names: Sequence[str]) -> None:
        """Raise OptionError for a rule about a class that a model with these names does not have."""
        for rule in self.rules:
            if rule.label not in names:
                raise OptionError(f"--count {rule}: the model has no class {rule.label!r}; it has {', '.join(names)}")

    def check_regions(self, regions: Sequence[str]) -> None:
        """Raise OptionError for a rule about a region that is none of these."""
        for rule in self.rules:
            if rule.region is not None:
                check_region(f"--count {rule}", rule.region, regions)


def next_counts(
    rules: CountRules, states: Conditions[CountRule], result: Detections, moment: Moment
) -> tuple[Conditions[CountRule], tuple[Event, ...]]:
    """Take the boxes of one frame, or of one region of it, that the moment names.

    Return the new states, and an event for each rule that begins to hold or no longer does. A change that falls into
    the cool-down of its rule is told when that is over, if it is still true then.
    """
    known, events = {}, []
    for rule in rules.rules:
        if rule.region != moment.roi:
            continue
        count = result.count(rule.label)
        before = states.known.get(rule, Condition())
        known[rule] = after = before.after(rule.holds(count), rules.stable, rules.cooldown_s, result.time_s(moment))
        if after.told != before.told:
            facts = {"label": rule.label, "count": count, "rule": str(rule), "active": after.told}
            events.append(Event("count", moment, facts))
    return Conditions(known), tuple(events)


def parse_count(text: str) -> CountRule:
    """Read "hen>=10", "egg==0" or "fox>=1@coop".

    Raises:
        OptionError: it is something else.
    """
    match = _RULE.fullmatch(text)
    if not match:
        raise OptionError(
            f"--count is {text!r}, expected a class, one of {' '.join(COMPARISONS)} and a number, in quotes such as "
            "'hen>=10', or of a region 'hen>=10@coop'"
        )
    return CountRule(match[1], match[2], int(match[3]), match[4])
