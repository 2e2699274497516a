"""Totals of lines as a state of a broker, and as Home Assistant's sensors."""

import json

import pytest

from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import discovery, first_events, no_longer_announced, state_topic
from edgevit.runtime.delivery.line_states import LineStates
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record

BROKER = Broker("host", 1883, "farm", discovery="homeassistant")


def _crossing(track: int, line: str, label: str, inwards: int, outwards: int, source: str = "camera:0") -> Record:
    facts = {"line": line, "label": label, "track": track, "direction": "in", "in": inwards, "out": outwards}
    return event_record(Event("line", Moment(source, 7, 7.0, 7.0), facts))


def test_each_crossing_tells_all_totals_of_its_source() -> None:
    states = LineStates()
    told = [
        states.after(record)[0]
        for record in (
            _crossing(1, "gate", "hen", 1, 0),
            _crossing(2, "gate", "fox", 0, 1),
            _crossing(3, "door", "hen", 2, 2),
            _crossing(4, "gate", "hen", 2, 0),
            _crossing(1, "gate", "hen", 1, 0, "camera:1"),
        )
    ]
    assert [record.kind for record in told] == ["lines"] * 5
    assert told[3].body["lines"] == {
        "gate": {"hen": {"in": 2, "out": 0}, "fox": {"in": 0, "out": 1}},
        "door": {"hen": {"in": 2, "out": 2}},
    }
    assert told[4].body["lines"] == {"gate": {"hen": {"in": 1, "out": 0}}}
    # a receiver drops what has an id that it knows: several of one frame are different ones
    assert len({record.id for record in told}) == 5


def test_other_records_tell_nothing() -> None:
    assert LineStates().after(event_record(Event("frozen", Moment("camera:0", 1, 1.0, 1.0), {"active": True}))) == []


def test_totals_begin_at_nothing_and_are_kept_by_the_broker() -> None:
    (first,) = [
        event for event in first_events("camera:0", (), 0.0, 0.0, counted=True, crossed=True) if event.kind == "lines"
    ]
    assert first.facts == {"lines": {}, "start": True}
    assert all(event.kind != "lines" for event in first_events("camera:0", (), 0.0, 0.0, counted=True))
    assert state_topic("farm", "lines") == ("farm/lines", True)


def test_home_assistant_has_a_sensor_for_each_line_class_and_direction() -> None:
    found = {topic: json.loads(text) for topic, text in discovery(BROKER, "yard", (), ("hen", "fox"), (), ("gate",))}
    sensors = {config["name"]: config for config in found.values() if config["state_topic"] == "farm/lines"}
    assert sorted(sensors) == ["gate fox in", "gate fox out", "gate hen in", "gate hen out"]
    assert sensors["gate hen in"]["state_class"] == "total_increasing"
    assert len({config["unique_id"] for config in sensors.values()}) == 4


def test_sensor_reads_its_total_and_0_before_the_first_crossing() -> None:
    jinja2 = pytest.importorskip("jinja2")
    configs = [json.loads(text) for _, text in discovery(BROKER, "yard", (), ("hen", 'a "wild" fox'), (), ("gate",))]
    templates = {config["name"]: jinja2.Template(config["value_template"]) for config in configs}
    totals = {"lines": {"gate": {"hen": {"in": 3, "out": 1}, 'a "wild" fox': {"in": 0, "out": 2}}}}
    assert templates["gate hen in"].render(value_json=totals) == "3"
    assert templates['gate a "wild" fox out'].render(value_json=totals) == "2"
    assert templates["gate hen in"].render(value_json={"lines": {}}) == "0"


def test_lines_that_are_gone_are_cleared_with_their_state() -> None:
    announced = dict(discovery(BROKER, "yard", (), ("hen",), (), ("gate",)))
    old = next(topic for topic, text in announced.items() if json.loads(text)["state_topic"] == "farm/lines")
    without = dict(discovery(BROKER, "yard", (), ("hen",)))
    assert no_longer_announced(BROKER, without, old, announced[old].encode()) == [old, "farm/lines"]
    assert no_longer_announced(BROKER, announced, old, announced[old].encode()) == []
