"""Records on a real Mosquitto on loopback: in order, and none lost, whoever is stopped, killed, slow or away."""

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record
from tests.made_broker import Mosquitto, Subscriber, needs_broker
from tests.places import ROOT
from tests.runtime.delivery.made_mqtt import open_sink, record
from tests.waiting import wait_for

pytestmark = needs_broker


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


def test_results_are_sent_only_when_asked_for(tmp_path: Path, broker: Mosquitto, subscriber: Subscriber) -> None:
    sink = open_sink(tmp_path, broker.port)
    sink.write(Record("result", "0" * 32, Moment("pen", 0, 0, 0), {"id": "0"}))
    sink.write(record(1))
    wait_for(lambda: sink.counts().waiting == 0)
    subscriber.settle()
    sink.close()
    assert subscriber.on("farm/pen3/label")
    assert not subscriber.on("farm/pen3/result")


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
