"""What a broker keeps of a board: its states, its counts, and what Home Assistant is told."""

import json
import time
from pathlib import Path

from edgevit.runtime.addresses.destinations import parse_sink, parse_sinks
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from tests.made_broker import Mosquitto, Subscriber, needs_broker
from tests.made_detections import NAMES, counted
from tests.made_detections import record as counts_record
from tests.runtime.delivery.made_mqtt import FAST, open_sink, record
from tests.waiting import wait_for

pytestmark = needs_broker


def kept(subscriber: Subscriber) -> dict[str, bytes]:
    """Return what the broker keeps, by topic."""
    return {topic: payload for topic, payload, retained in list(subscriber.messages) if retained}


def topic_of(subscriber: Subscriber, entity: str) -> str:
    """Return where an entity was announced to Home Assistant."""
    return next(topic for topic, _, _ in subscriber.messages if topic.endswith(f"/{entity}/config"))


def test_states_are_kept_by_the_broker_unless_told_not_to(tmp_path: Path, broker: Mosquitto) -> None:
    sink = open_sink(tmp_path, broker.port)
    sink.write(record(1))
    wait_for(lambda: sink.counts().waiting == 0)
    sink.close()
    late = Subscriber(broker.port)
    late.settle()
    assert {retain for topic, _, retain in late.messages if topic == "farm/pen3/label"} == {True}
    late.close()
    target = parse_sink(f"mqtt://127.0.0.1:{broker.port}/farm/pen3?retain=no")
    assert Broker.from_target(target, {}).retain is False


def test_board_announces_itself_to_home_assistant(tmp_path: Path, broker: Mosquitto) -> None:
    sink = open_sink(tmp_path, broker.port, "?discovery=homeassistant")
    sink.write(record(1, "label", label="fox"))
    wait_for(lambda: sink.counts().waiting == 0)
    late = Subscriber(broker.port)
    late.settle()
    configs = [json.loads(payload) for topic, payload, _ in late.messages if topic.endswith("/config")]
    assert len(configs) == 6
    (label,) = [config for config in configs if config["unique_id"].endswith("_label")]
    # what it points to is there, and holds what the template asks for
    assert json.loads(late.on(label["state_topic"])[0])["label"] == "fox"
    status, camera = label["availability"]
    assert late.on(status["topic"]) == [status["payload_available"].encode()]
    assert (camera["topic"], label["availability_mode"]) == ("farm/pen3/source", "all")
    assert "'offline' if value_json.event == 'source_lost'" in camera["value_template"]
    assert label["device"]["name"] == "Pen 3"
    late.close()
    sink.close()


def test_states_of_a_run_that_ended_in_trouble_are_not_left(tmp_path: Path, broker: Mosquitto) -> None:
    place = f"mqtt://127.0.0.1:{broker.port}/farm/pen3"
    around = SinkContext(rois=("left", "right"), source="camera:0", spool=tmp_path / "spool", environment={})
    for _ in range(2):
        sinks = open_sinks(parse_sinks([place], around.environment), around)
        wait_for(lambda: sinks.backlogs()[0].counts.waiting == 0)  # noqa: B023
        late = Subscriber(broker.port)
        late.settle()
        found = {topic: json.loads(text) for topic, text in kept(late).items() if topic != "farm/pen3/status"}
        late.close()
        # what is kept: the camera is there, nothing is dark, no label is known
        assert found["farm/pen3/source"]["event"] == "source_back"
        assert found["farm/pen3/too_dark"]["active"] is False
        assert [found[f"farm/pen3/{roi}/label"]["label"] for roi in ("left", "right")] == ["unknown", "unknown"]
        assert {each["source"] for each in found.values()} == {"camera:0"}
        sinks.write(record(1, "source_lost", reason="gone"))
        sinks.write(record(2, "too_dark", active=True))
        sinks.write(record(3, "label", "left", label="fox"))
        sinks.close()


def test_entity_of_a_region_that_was_renamed_is_removed_and_others_are_not(tmp_path: Path, broker: Mosquitto) -> None:
    publisher = Subscriber(broker.port)
    publisher._client.publish("homeassistant/sensor/other/label/config", b"{}", 1, True).wait_for_publish(5)
    for rois in (("gate", "pen"), ("gate", "yard")):
        target = parse_sink(f"mqtt://127.0.0.1:{broker.port}/farm?discovery=homeassistant")
        delivery = MqttDelivery(Broker.from_target(target, {}), rois=rois)
        sink = SpooledSink(Spool(tmp_path / "spool.sqlite", 10_000_000), delivery, backoff=FAST)
        for roi in rois:
            sink.write(record(1, "label", roi))
        wait_for(lambda: sink.counts().waiting == 0)  # noqa: B023
        if rois != ("gate", "pen"):
            wait_for(lambda: b"" in publisher.on(topic_of(publisher, "label_pen")))
        time.sleep(1.5)  # others would be removed in this time, as what is old is looked for once a second
        sink.close()
    publisher.close()
    late = Subscriber(broker.port)
    late.settle()
    topics = set(kept(late))
    labels = sorted(topic.split("/")[-2] for topic in topics if topic.startswith("homeassistant/sensor/edgevit"))
    assert labels == ["label_gate", "label_yard"]
    assert {"farm/gate/label", "farm/yard/label", "homeassistant/sensor/other/label/config"} <= topics
    assert "farm/pen/label" not in topics
    late.close()


def test_counts_are_kept_by_the_broker_from_unknown_at_the_start_to_the_newest(
    tmp_path: Path, broker: Mosquitto
) -> None:
    place = f"mqtt://127.0.0.1:{broker.port}/farm?discovery=homeassistant"
    environment: dict[str, str] = {}
    around = SinkContext(
        task="detect", names=NAMES, rois=("coop",), source="camera:0", spool=tmp_path / "spool", environment=environment
    )
    sinks = open_sinks(parse_sinks([place], environment), around)
    wait_for(lambda: sinks.backlogs()[0].counts.waiting == 0)
    early = Subscriber(broker.port)
    early.settle()
    assert [json.loads(early.on(topic)[0])["counts"] for topic in ("farm/counts", "farm/coop/counts")] == [{}, {}]
    for number, hens in ((0, 7), (1, 8), (20, 6)):
        sinks.write(counts_record(number, counted(hen=hens)))
        sinks.write(counts_record(number, counted(hen=hens - 5), "coop"))
    sinks.write(record(21, "count", label="hen", count=6, rule="hen>=6", active=True))
    wait_for(lambda: sinks.backlogs()[0].counts.waiting == 0)
    late = Subscriber(broker.port)
    late.settle()
    counts = [json.loads(kept(late)[topic])["counts"] for topic in ("farm/counts", "farm/coop/counts")]
    assert counts == [{"hen": 6, "fox": 0, "egg": 0}, {"hen": 1, "fox": 0, "egg": 0}]
    # the event of a rule is no state, and no label is there
    early.settle()
    assert early.on("farm/count")
    assert not late.on("farm/count")
    assert not any("label" in topic for topic in kept(late))
    early.close()
    late.close()
    sinks.close()
