"""Areas of classes as events: each class for itself, smoothed, with hysteresis and a cool-down."""

from collections.abc import Sequence

import numpy as np

from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.lines import event_text

NAMES = ("crop", "soil", "weed")


def see(rules: LabelRules, areas: Sequence[tuple[float, float]], gap_at: int | None = None) -> list[Event]:
    """Show a frame a second with these shares of soil and weed; return the events of areas."""
    watch = Watch(rules)
    events: list[Event] = []
    for second, (soil, weed) in enumerate(areas):
        if second == gap_at:
            watch.gap("field")
        shares = np.array([1 - soil - weed, soil, weed], np.float32)
        moment = Moment("field", second, float(second), 1e9 + second)
        events += watch.see(Segmentation(shares, NAMES), moment)
    return [event for event in events if event.kind == "area"]


def told(events: Sequence[Event]) -> list[tuple[int, str, bool]]:
    return [(event.moment.sequence, event.facts["label"], event.facts["active"]) for event in events]


def test_a_class_above_its_limit_is_told_though_another_is_larger() -> None:
    events = see(LabelRules(thresholds={"soil": 0.3}), [(0.2, 0), (0.35, 0), (0.4, 0), (0.1, 0)])
    assert told(events) == [(1, "soil", True), (3, "soil", False)]
    assert (events[0].facts["value"], events[0].facts["limit"]) == (0.35, 0.3)


def test_classes_without_a_limit_are_not_told() -> None:
    assert see(LabelRules(threshold=0.1), [(0.5, 0.2)]) == []


def test_two_classes_of_one_frame_are_two_events() -> None:
    events = see(LabelRules(thresholds={"soil": 0.3, "weed": 0.2}), [(0.4, 0.3)])
    assert told(events) == [(0, "soil", True), (0, "weed", True)]
    assert events[0].id != events[1].id


def test_classes_of_one_name_are_one_area() -> None:
    watch, moment = Watch(LabelRules(thresholds={"weed": 0.4})), Moment("field", 0, 0.0, 1e9)
    shares = np.array([0.5, 0.3, 0.2], np.float32)
    events = watch.see(Segmentation(shares, ("crop", "weed", "weed")), moment)
    (event,) = [each for each in events if each.kind == "area"]
    assert event.facts["value"] == 0.5


def test_area_is_smoothed() -> None:
    rules = LabelRules(thresholds={"soil": 0.3}, stable=(2, 3))
    assert told(see(rules, [(0.4, 0), (0, 0), (0, 0), (0.4, 0), (0.4, 0), (0, 0), (0.4, 0)])) == [(4, "soil", True)]
    assert told(see(rules, [(0.4, 0), (0.4, 0)], gap_at=1)) == []


def test_area_falls_only_below_the_hysteresis() -> None:
    rules = LabelRules(thresholds={"soil": 0.3}, hysteresis=0.1)
    assert told(see(rules, [(0.35, 0), (0.25, 0), (0.19, 0), (0.25, 0)])) == [(0, "soil", True), (2, "soil", False)]


def test_cooldown_holds_back_what_is_still_true_when_it_is_over() -> None:
    rules = LabelRules(thresholds={"soil": 0.3}, cooldown_s=3)
    assert told(see(rules, [(0.4, 0), (0, 0), (0, 0), (0, 0), (0.4, 0)])) == [(0, "soil", True), (3, "soil", False)]


def test_cooldown_of_a_video_counts_its_own_time_not_the_machines() -> None:
    watch, events = Watch(LabelRules(thresholds={"soil": 0.3}, cooldown_s=3)), list[Event]()
    for second, soil in enumerate((0.4, 0, 0, 0, 0.4)):
        shares = np.array([1 - soil, soil, 0], np.float32)
        video = Segmentation(shares, NAMES, position_s=float(second))
        events += watch.see(video, Moment("field.mp4", second, second / 1000, 1e9))
    assert told([event for event in events if event.kind == "area"]) == [(0, "soil", True), (3, "soil", False)]


def test_area_is_told_to_people_in_words() -> None:
    first, second = see(LabelRules(thresholds={"soil": 0.3}), [(0.352, 0), (0.1, 0)])
    assert event_text(event_record(first)) == "soil above 0.3 (0.352)"
    assert event_text(event_record(second)) == "soil no longer above 0.3 (0.1)"
