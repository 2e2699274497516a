"""Against a real Mosquitto on loopback: stopped, restarted, slow, refusing, and with TLS."""

import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevit.runtime.addresses.destinations import parse_sink, parse_sinks
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from tests.made_broker import Mosquitto, Subscriber, needs_broker
from tests.made_detections import NAMES, counted
from tests.made_detections import record as counts_record
from tests.places import ROOT
from tests.waiting import wait_for

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: pip install 'edgevit[mqtt]'")

FAST = Backoff(first_s=0.05, most_s=0.2)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.fixture
def subscriber(broker: Mosquitto) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


def record(number: int, kind: str = "label", roi: str | None = None, **facts: Any) -> Record:
    return event_record(Event(kind, Moment("pen", number, number, 1e9 + number, roi), facts or {"label": f"l{number}"}))


def open_sink(folder: Path, port: int, query: str = "", environment: dict[str, str] | None = None) -> SpooledSink:
    target = parse_sink(f"mqtt://127.0.0.1:{port}/farm/pen3{query}")
    delivery = MqttDelivery(Broker.from_target(target, environment or {}), device="Pen 3")
    return SpooledSink(Spool(folder / "spool.sqlite", 10_000_000), delivery, backoff=FAST, steady_s=0.05)


@needs_broker
def test_events_arrive_in_order_on_the_topic_of_their_kind(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber
) -> None:
    sink = open_sink(tmp_path, broker.port)
    records = [record(number) for number in range(120)]
    for each in records:
        sink.write(each)
    sink.write(record(120, "frozen", active=True))
    sink.write(record(121, "label", "left"))
    sink.write(record(122, "source_lost"))
    wait_for(lambda: subscriber.on("farm/pen3/source"))
    assert [payload.decode() for payload in subscriber.on("farm/pen3/label")] == [each.to_json() for each in records]
    assert json.loads(subscriber.on("farm/pen3/frozen")[0])["active"] is True
    assert len(subscriber.on("farm/pen3/left/label")) == 1
    sink.close()
    assert subscriber.on("farm/pen3/status")[0] == b"online"
    wait_for(lambda: subscriber.on("farm/pen3/status")[-1] == b"offline")


@needs_broker
def test_results_are_sent_only_when_asked_for(tmp_path: Path, broker: Mosquitto, subscriber: Subscriber) -> None:
    sink = open_sink(tmp_path, broker.port)
    sink.write(Record("result", "0" * 32, Moment("pen", 0, 0, 0), {"id": "0"}))
    sink.write(record(1))
    wait_for(lambda: subscriber.on("farm/pen3/label"))
    sink.close()
    assert not subscriber.on("farm/pen3/result")


@needs_broker
def test_states_are_kept_by_the_broker_unless_told_not_to(tmp_path: Path, broker: Mosquitto) -> None:
    sink = open_sink(tmp_path, broker.port)
    sink.write(record(1))
    wait_for(lambda: sink.counts().waiting == 0)
    sink.close()
    late = Subscriber(broker.port)
    wait_for(lambda: late.on("farm/pen3/label"))
    assert {retain for topic, _, retain in late.messages if topic == "farm/pen3/label"} == {True}
    late.close()
    target = parse_sink(f"mqtt://127.0.0.1:{broker.port}/farm/pen3?retain=no")
    assert Broker.from_target(target, {}).retain is False


@needs_broker
def test_restarts_of_the_broker_lose_nothing(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sink = open_sink(tmp_path, broker.port)
    records = [record(number) for number in range(400)]
    for number, each in enumerate(records):
        if number in (100, 250):
            broker.stop()
        if number in (150, 300):
            broker.start()
        sink.write(each)
        time.sleep(0.001)
    expected = [each.id for each in records]
    wait_for(lambda: len(subscriber.first_ids("farm/pen3/label")) == 400)
    assert subscriber.first_ids("farm/pen3/label") == expected
    wait_for(lambda: sink.counts().waiting == 0)
    sink.close()
    outages = [message for message in caplog.messages if "records wait in" in message]
    assert 1 <= len(outages) <= 4, caplog.messages  # not one for each attempt
    assert any("back, " in message for message in caplog.messages)


@needs_broker
def test_broker_that_is_away_at_the_start_and_the_end_loses_nothing(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    sink = open_sink(tmp_path, broker.port)
    for number in range(10):
        sink.write(record(number))
    sink.close()
    assert "10 records for mqtt://" in caplog.text
    assert "stay in" in caplog.text
    broker.start()
    again = open_sink(tmp_path, broker.port)
    again.write(record(10))
    wait_for(lambda: len(subscriber.first_ids("farm/pen3/label")) == 11)
    assert subscriber.first_ids("farm/pen3/label") == [record(number).id for number in range(11)]
    again.close()


@needs_broker
def test_broker_that_stands_still_for_a_while_gets_everything(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber
) -> None:
    sink = open_sink(tmp_path, broker.port)
    wait_for(lambda: subscriber.on("farm/pen3/status"))
    broker.signal(signal.SIGSTOP)
    # the loop that classifies does not wait for the broker, which would be for ever
    for number in range(100):
        sink.write(record(number))
    time.sleep(0.5)
    assert sink.counts().waiting == 100
    broker.signal(signal.SIGCONT)
    wait_for(lambda: sink.counts().waiting == 0)
    wait_for(lambda: len(subscriber.first_ids("farm/pen3/label")) == 100)
    assert subscriber.first_ids("farm/pen3/label") == [record(number).id for number in range(100)]
    sink.close()


@needs_broker
def test_refused_password_is_one_line_and_the_records_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords = tmp_path / "passwords"
    made = subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "board", "right"], capture_output=True)
    assert made.returncode == 0, made.stderr
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous false", f"password_file {passwords}")
    try:
        sink = open_sink(
            tmp_path, broker.port, environment={"EDGEVIT_MQTT_USER": "board", "EDGEVIT_MQTT_PASSWORD": "x"}
        )
        sink.write(record(1))
        wait_for(lambda: "the broker refuses" in caplog.text)
        time.sleep(0.5)  # further attempts say nothing more
        sink.close()
        (said,) = [message for message in caplog.messages if "the broker refuses" in message]
        assert "set EDGEVIT_MQTT_USER and EDGEVIT_MQTT_PASSWORD or EDGEVIT_MQTT_PASSWORD_FILE" in said
        assert "right" not in caplog.text
        (tmp_path / "secret").write_text("right\n")
        right = {"EDGEVIT_MQTT_USER": "board", "EDGEVIT_MQTT_PASSWORD_FILE": str(tmp_path / "secret")}
        sink = open_sink(tmp_path, broker.port, environment=right)
        wait_for(lambda: sink.counts().waiting == 0)
        sink.close()
    finally:
        broker.stop()


SENDER = """
import sys, time
from pathlib import Path
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.event import Moment
from edgevit.runtime.addresses.destinations import parse_sink, parse_sinks
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.records import event_record
from edgevit.runtime.delivery.sender import SpooledSink
from edgevit.runtime.delivery.spool import Spool

broker = Broker.from_target(parse_sink(sys.argv[2]), {})
sink = SpooledSink(Spool(Path(sys.argv[1]), 10_000_000), MqttDelivery(broker))
number = int(sys.argv[3])
while True:
    sink.write(event_record(Event("label", Moment("pen", number, number, 1e9 + number), {"label": f"l{number}"})))
    print(number, flush=True)
    number += 1
    time.sleep(0.001)
"""


@needs_broker
def test_kill_of_the_process_loses_nothing_and_publishes_the_last_will(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber
) -> None:
    spool, taken = tmp_path / "spool.sqlite", 0
    for pause_s in (0.3, 0.13, 0.02):
        command = [sys.executable, "-c", SENDER, str(spool), f"mqtt://127.0.0.1:{broker.port}/farm/pen3", str(taken)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert writer.stdout
        writer.stdout.readline()
        if not taken:
            wait_for(lambda: subscriber.on("farm/pen3/label"))
        time.sleep(pause_s)
        writer.kill()
        lines = writer.stdout.read().split("\n")[:-1]
        writer.wait()
        writer.stdout.close()
        first = not taken
        taken = int(lines[-1]) + 1 if lines else taken + 1
        if first:
            wait_for(lambda: subscriber.on("farm/pen3/status") == [b"online", b"offline"])
    sink = open_sink(tmp_path, broker.port)
    wait_for(lambda: sink.counts().waiting == 0)
    wanted = {record(number).id for number in range(taken)}
    wait_for(lambda: wanted <= set(subscriber.first_ids("farm/pen3/label")))
    sink.close()


@needs_broker
def test_board_announces_itself_to_home_assistant(tmp_path: Path, broker: Mosquitto) -> None:
    sink = open_sink(tmp_path, broker.port, "?discovery=homeassistant")
    sink.write(record(1, "label", label="fox"))
    wait_for(lambda: sink.counts().waiting == 0)
    late = Subscriber(broker.port)
    wait_for(lambda: len([topic for topic, _, _ in late.messages if topic.endswith("/config")]) == 6)
    configs = [json.loads(payload) for topic, payload, _ in late.messages if topic.endswith("/config")]
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


@needs_broker
def test_record_that_the_access_list_refuses_is_kept_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite #\ntopic deny farm/pen3/frozen\n")
    broker = Mosquitto(tmp_path / "broker", f"acl_file {rights}")
    try:
        reader = Subscriber(broker.port)
        sink = open_sink(tmp_path, broker.port)
        for number in range(5):
            sink.write(record(number, "frozen" if number == 2 else "label"))
        wait_for(lambda: sink.counts().waiting == 0)
        assert reader.first_ids("farm/pen3/label") == [record(number).id for number in (0, 1, 3, 4)]
        assert sink.counts().refused == 1
        sink.close()
        reader.close()
    finally:
        broker.stop()
    assert f"record {record(2, 'frozen').id} is given up and kept: the broker refuses it: Not authorized" in caplog.text
    ((kept, _),) = Spool(tmp_path / "spool.sqlite", 10_000_000).refused(9)
    assert kept.body.decode() == record(2, "frozen").to_json()


@needs_broker
@pytest.mark.parametrize("limit", ["message_size_limit 1000", "max_packet_size 1000"])
def test_record_that_is_too_large_for_the_broker_does_not_hold_up_the_others(
    tmp_path: Path, limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path / "broker", limit)
    try:
        reader = Subscriber(broker.port)
        sink = open_sink(tmp_path, broker.port)
        records = [record(number, label="x" * (3000 if number == 1 else 3)) for number in range(3)]
        for each in records:
            sink.write(each)
        wait_for(lambda: sink.counts().waiting == 0)
        wait_for(lambda: reader.first_ids("farm/pen3/label") == [records[0].id, records[2].id])
        assert sink.counts().refused == 1
        sink.close()
        reader.close()
    finally:
        broker.stop()
    assert f"record {records[1].id} is given up and kept: the broker" in caplog.text


@needs_broker
def test_second_client_with_the_same_id_is_said_and_not_hurried(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = MqttDelivery(Broker("127.0.0.1", broker.port, "farm", client_id="twin"))
    sink = SpooledSink(Spool(tmp_path / "spool.sqlite", 10_000_000), delivery, backoff=Backoff(0.05, 60))
    twins = []
    for _ in range(3):
        sink.write(record(0))
        wait_for(lambda: sink.counts().waiting == 0)
        twins.append(paho.Client(paho.CallbackAPIVersion.VERSION2, "twin", reconnect_on_failure=False))
        twins[-1].connect("127.0.0.1", broker.port)
        twins[-1].loop_start()
        wait_for(lambda: sink.backlog().away)
    for twin in twins:
        twin.loop_stop()
    # each loss is a failure, so that the pauses grow; the log has one line for all of them
    assert sink._failures >= 3
    (said,) = [message for message in caplog.messages if "the connection was lost" in message]
    assert "if another board has the client id twin, give one of them ?client=NAME" in said
    sink.close()


@needs_broker
def test_states_of_a_run_that_ended_in_trouble_are_not_left(tmp_path: Path, broker: Mosquitto) -> None:
    place = f"mqtt://127.0.0.1:{broker.port}/farm/pen3"
    around = SinkContext(rois=("left", "right"), source="camera:0", spool=tmp_path / "spool", environment={})
    for _ in range(2):
        sinks = open_sinks(parse_sinks([place], around.environment), around)
        wait_for(lambda: sinks.backlogs()[0].counts.waiting == 0)  # noqa: B023
        late = Subscriber(broker.port)
        wait_for(lambda: late.on("farm/pen3/source") and late.on("farm/pen3/right/label"))  # noqa: B023
        found = {topic: json.loads(payload) for topic, payload, _ in late.messages if topic != "farm/pen3/status"}
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


@needs_broker
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
        time.sleep(2.5)  # what is old is looked for once a second
        sink.close()
    publisher.close()
    late = Subscriber(broker.port)
    wait_for(lambda: len([topic for topic, _, _ in late.messages if topic.endswith("/config")]) >= 8)
    time.sleep(0.2)
    kept = {topic for topic, _, _ in late.messages}
    labels = sorted(topic.split("/")[-2] for topic in kept if topic.startswith("homeassistant/sensor/edgevit"))
    assert labels == ["label_gate", "label_yard"]
    assert {"farm/gate/label", "farm/yard/label", "homeassistant/sensor/other/label/config"} <= kept
    assert "farm/pen/label" not in kept
    late.close()


@needs_broker
def test_connection_is_encrypted_and_the_broker_is_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    for name in ("broker", "other"):
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.crt"],
            cwd=tmp_path,
            capture_output=True,
        )
        assert made.returncode == 0, made.stderr
    broker = Mosquitto(tmp_path / "b", f"certfile {tmp_path}/broker.crt", f"keyfile {tmp_path}/broker.key")
    try:

        def secure(ca: str) -> SpooledSink:
            target = parse_sink(f"mqtts://127.0.0.1:{broker.port}/farm?ca={tmp_path}/{ca}.crt")
            delivery = MqttDelivery(Broker.from_target(target, {}))
            return SpooledSink(Spool(tmp_path / "spool.sqlite", 10_000_000), delivery, backoff=FAST, steady_s=0.05)

        sink = secure("other")
        sink.write(record(1))
        wait_for(lambda: "cannot connect" in caplog.text)
        assert "certificate verify failed" in caplog.text
        sink.close()
        sink = secure("broker")
        wait_for(lambda: sink.counts().waiting == 0)
        sink.close()
    finally:
        broker.stop()


def test_server_that_is_no_broker_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sink = open_sink(tmp_path, listener.getsockname()[1])
        connection, _ = listener.accept()
        connection.close()
        wait_for(lambda: "the broker closed the connection" in caplog.text)
    sink.close()


def kept(subscriber: Subscriber) -> dict[str, bytes]:
    """Return what the broker keeps, by topic."""
    return {topic: payload for topic, payload, retained in list(subscriber.messages) if retained}


@needs_broker
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
    wait_for(lambda: early.on("farm/counts") and early.on("farm/coop/counts"))
    assert [json.loads(early.on(topic)[0])["counts"] for topic in ("farm/counts", "farm/coop/counts")] == [{}, {}]
    early.close()
    for number, hens in ((0, 7), (1, 8), (20, 6)):
        sinks.write(counts_record(number, counted(hen=hens)))
        sinks.write(counts_record(number, counted(hen=hens - 5), "coop"))
    sinks.write(record(21, "count", label="hen", count=6, rule="hen>=6", active=True))
    wait_for(lambda: sinks.backlogs()[0].counts.waiting == 0)
    late = Subscriber(broker.port)
    time.sleep(0.2)
    wait_for(lambda: {"farm/counts", "farm/coop/counts"} <= set(kept(late)))
    counts = [json.loads(kept(late)[topic])["counts"] for topic in ("farm/counts", "farm/coop/counts")]
    assert counts == [{"hen": 6, "fox": 0, "egg": 0}, {"hen": 1, "fox": 0, "egg": 0}]
    # the event of a rule is no state, and no label is there
    assert late.on("farm/count")
    assert "farm/count" not in kept(late)
    assert not any("label" in topic for topic in kept(late))
    late.close()
    sinks.close()
