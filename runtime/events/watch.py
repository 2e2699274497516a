"""All rules over all sources: the one object here that remembers."""

from edgevit.errors import OptionError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.areas import next_areas
from edgevit.runtime.events.condition import Conditions
from edgevit.runtime.events.counts import CountRule, CountRules, next_counts
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.image_quality import measure
from edgevit.runtime.events.labels import LabelRules, LabelState, next_state
from edgevit.runtime.events.quality_alarms import HealthRules, HealthState, next_health
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.schema import option_name

HEALTH_EVERY_S = 1.0
"""How often a picture's health is measured; it takes about a millisecond of a 720p picture."""


class Watch:
    """Turns answers into events; deterministic in what it is given, clocks included. For one thread."""

    def __init__(
        self,
        labels: LabelRules,
        health: HealthRules | None = None,
        counts: CountRules = CountRules(),  # noqa: B008 (frozen)
    ) -> None:
        """Follow these rules; without health rules, pictures are not measured.

        Raises:
            OptionError: one of them is something else.
        """
        _check_rules("labels", labels, LabelRules)
        _check_rules("counts", counts, CountRules)
        if health is not None:
            _check_rules("health", health, HealthRules)
        self._label_rules = labels
        self._count_rules = counts
        self._health_rules = health
        self._labels: Recent[tuple[str, str | None], LabelState] = Recent()
        self._areas: Recent[tuple[str, str | None], Conditions[str]] = Recent()
        self._counts: Recent[tuple[str, str | None], Conditions[CountRule]] = Recent()
        self._health: Recent[str, HealthState] = Recent()
        self._measured_s: Recent[str, float] = Recent()

    @property
    def looks(self) -> bool:
        """Whether it is to be shown the pictures."""
        return self._health_rules is not None

    def see(self, result: Result, moment: Moment | None = None) -> tuple[Event, ...]:
        """Take the answer for one frame, or one region of it; return what it means.

        Args:
            result: the answer.
            moment: when and of what; that of the result if it comes from a stream.

        Raises:
            OptionError: neither is there, or the answer is something else.
        """
        if not isinstance(result, Result):
            raise OptionError(f"the answer is a {type(result).__name__}, expected a Result; of a list give each")
        moment = moment or result.moment
        if moment is None:
            raise OptionError("this answer does not come from a stream, so nobody knows its moment: give one")
        key = (moment.source, moment.roi)
        if isinstance(result, Detections):
            # there may be objects of several classes, or none: no label is that of the picture
            states = self._counts.get(key, Conditions())
            self._counts[key], counted = next_counts(self._count_rules, states, result, moment)
            return counted
        rules = self._label_rules.for_several() if result.multi_label else self._label_rules
        self._labels[key], events = next_state(rules, self._labels.get(key, LabelState()), result, moment)
        if not (result.of_areas or result.multi_label):
            return events
        self._areas[key], further = next_areas(rules, self._areas.get(key, Conditions()), result, moment)
        return (*events, *further)

    def look(self, image: RGBImage, moment: Moment) -> tuple[Event, ...]:
        """Take the whole picture, once a frame, as a model may be called with it; return what its health means.

        Raises:
            ImageError: it is something else.
        """
        last_s = self._measured_s.get(moment.source)
        if self._health_rules is None or (last_s is not None and moment.monotonic_s - last_s < HEALTH_EVERY_S):
            return ()
        self._measured_s[moment.source] = moment.monotonic_s
        state = self._health.get(moment.source, HealthState())
        self._health[moment.source], events = next_health(self._health_rules, state, measure(read_image(image)), moment)
        return events

    def gap(self, source: str) -> None:
        """Say that the source was lost: what was seen before does not count with what is seen after."""
        for key, labels in list(self._labels.items()):
            if key[0] == source:
                self._labels[key] = labels.after_gap()
        for key, areas in list(self._areas.items()):
            if key[0] == source:
                self._areas[key] = areas.after_gap()
        for key, counts in list(self._counts.items()):
            if key[0] == source:
                self._counts[key] = counts.after_gap()
        if source in self._health:
            self._health[source] = self._health[source].after_gap()


def _check_rules(name: str, rules: object, kind: type) -> None:
    if not isinstance(rules, kind):
        raise OptionError(f"{option_name(name)} is {rules!r}, expected {kind.__name__}")
