"""Counts as states of a broker, and as Home Assistant's sensors."""

import json
import math
from string import ascii_letters, digits

import pytest

from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.count_states import CountStates
from edgevit.runtime.delivery.homeassistant import discovery, first_events, no_longer_announced, state_topic
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from tests.made_detections import NAMES, counted, record
from tests.made_records import answer

BROKER = Broker("host", 1883, "farm", discovery="homeassistant")


def hens(states: CountStates, counts: list[int], roi: str | None = None) -> list[tuple[int, int]]:
    """Return the seconds at which something is told, and how many hens."""
    told = []
    for second, count in enumerate(counts):
        told += [(second, each.body["counts"]["hen"]) for each in states.after(record(second, counted(hen=count), roi))]
    return told


def test_counts_are_told_when_they_change_with_classes_that_are_not_there() -> None:
    states = CountStates(pace_s=0)
    (first,) = states.after(record(0, counted(hen=2)))
    assert (first.kind, first.moment.roi) == ("counts", None)
    assert {name: first.body[name] for name in ("event", "source", "counts")} == {
        "event": "counts",
        "source": "camera:0",
        "counts": {"hen": 2, "fox": 0, "egg": 0},
    }
    assert hens(states, [2, 3, 3, 0]) == [(1, 3), (3, 0)]


def test_empty_picture_at_the_start_is_told_as_zeros() -> None:
    (first,) = CountStates().after(record(0, counted()))
    assert first.body["counts"] == {"hen": 0, "fox": 0, "egg": 0}


def test_changes_come_no_faster_than_the_pace_and_the_last_one_is_not_lost() -> None:
    assert hens(CountStates(pace_s=3), [1, 2, 3, 4, 4, 4, 4, 5]) == [(0, 1), (3, 4), (7, 5)]


def test_single_wrong_frame_is_no_change_where_frames_are_smoothed() -> None:
    """The middle one of three counts; the lower of two."""
    assert hens(CountStates(3, pace_s=0), [5, 5, 9, 5, 5, 6, 6]) == [(0, 5), (6, 6)]


def test_frames_before_a_loss_do_not_count_with_those_after() -> None:
    states = CountStates(3, pace_s=0)
    hens(states, [5, 5, 5])
    lost = event_record(Event("source_lost", Moment("camera:0", 3, 3.0, 3.0), {"reason": "gone"}))
    assert states.after(lost) == []
    assert hens(states, [1]) == [(0, 1)]


def test_regions_and_sources_have_counts_of_their_own() -> None:
    states = CountStates(pace_s=math.inf)
    assert [len(states.after(record(0, counted(), roi))) for roi in (None, "coop", None, "coop")] == [1, 1, 0, 0]
    assert len(states.after(record(0, counted(), source="camera:1"))) == 1


def test_answers_of_a_classifier_have_no_counts() -> None:
    assert CountStates().after(record(0, answer())) == []  # type: ignore[arg-type]


def test_counts_are_a_state_that_the_broker_keeps_and_count_events_are_none() -> None:
    assert state_topic("farm", "counts") == ("farm/counts", True)
    assert state_topic("farm", "left coop/counts") == ("farm/left_coop/counts", True)
    assert state_topic("farm", "count") == ("farm/count", False)


def test_before_the_first_picture_nobody_knows_how_many_there_are() -> None:
    first = [event.to_dict() for event in first_events("camera:0", ["coop"], 0.0, 0.0, counted=True)]
    assert [(each["roi"], each["counts"]) for each in first if each["event"] == "counts"] == [(None, {}), ("coop", {})]
    assert "label" not in {each["event"] for each in first}
    assert all(each["start"] for each in first)
    labels = {each.kind for each in first_events("camera:0", [], 0.0, 0.0)}
    assert ("label" in labels, "counts" in labels) == (True, False)


def sensors(*given: object, **more: object) -> list[dict[str, object]]:
    messages = discovery(BROKER, "Pen", *given, **more)  # type: ignore[arg-type]
    return [json.loads(text) for topic, text in messages if topic.startswith("homeassistant/sensor/")]


def test_each_class_is_a_sensor_of_the_whole_picture_and_of_each_region() -> None:
    found = sensors(["coop"], NAMES)
    assert [config["name"] for config in found] == ["hen", "fox", "egg", "coop hen", "coop fox", "coop egg"]
    assert [config["state_topic"] for config in found] == ["farm/counts"] * 3 + ["farm/coop/counts"] * 3
    assert len({config["unique_id"] for config in found}) == 6
    for config in found:
        assert (config["state_class"], config["unit_of_measurement"]) == ("measurement", "objects")
        # not known while the camera is lost
        assert len(config["availability"]) == 2  # type: ignore[arg-type]
        assert "enabled_by_default" not in config


def test_of_many_classes_those_that_rules_are_about_are_switched_on() -> None:
    classes = [f"class{number}" for number in range(21)]
    on = [config["name"] for config in sensors([], classes, ["class7"]) if config.get("enabled_by_default", True)]
    assert on == ["class7"]
    assert all(config.get("enabled_by_default", True) for config in sensors([], classes[:20]))


@pytest.mark.parametrize(
    "pair",
    [
        (("", "a b"), ("", "a_b")),
        (("pen-1", "x"), ("pen_1", "x")),
        (("a", "b_c"), ("a_b", "c")),
        (("", "鶏"), ("", "狐")),
    ],
)
def test_counts_that_look_alike_are_two_entities(pair: tuple[tuple[str, str], tuple[str, str]]) -> None:
    messages = dict(discovery(BROKER, "Pen", [roi for roi, _ in pair if roi], [label for _, label in pair]))
    topics = [topic for topic in messages if topic.startswith("homeassistant/sensor/")]
    assert len(topics) == len({json.loads(messages[topic])["unique_id"] for topic in topics})
    assert len(topics) == (1 + len([roi for roi, _ in pair if roi])) * len({label for _, label in pair})
    assert all(set(topic) <= set(ascii_letters + digits + "_-/") for topic in messages)


@pytest.mark.parametrize("label", ["hen", 'he said "hen"', "it's", "back\\slash", "鶏🐔", "{{ 1 }}", "}}"])
def test_template_of_a_sensor_is_the_count_or_none_before_it_is_known(label: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    (config,) = sensors([], [label])
    template = jinja2.Environment().from_string(config["value_template"])
    assert template.render(value_json={"counts": {label: 7}}) == "7"
    # that is what Home Assistant takes for an unknown state
    assert template.render(value_json={"counts": {}, "start": True}) == "None"


def test_label_of_an_earlier_classifier_is_taken_back_with_its_sensor() -> None:
    announced = dict(discovery(BROKER, "Pen", [], NAMES))
    ((topic, message), *_) = discovery(BROKER, "Pen")
    assert no_longer_announced(BROKER, announced, topic, message.encode()) == [topic, "farm/label"]
    # and the other way round; a topic that is still used stays
    (old, *_) = announced
    now = dict(discovery(BROKER, "Pen"))
    assert no_longer_announced(BROKER, now, old, announced[old].encode()) == [old, "farm/counts"]
    fewer = dict(discovery(BROKER, "Pen", [], NAMES[1:]))
    assert no_longer_announced(BROKER, fewer, old, announced[old].encode()) == [old]
