"""What a broker refuses, and who is no broker: one line says why, and nothing else is held up."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import SpooledSink
from edgevit.runtime.delivery.spool import Spool
from tests.made_broker import Mosquitto, Subscriber, needs_broker, paho
from tests.runtime.delivery.made_mqtt import FAST, open_sink, record
from tests.waiting import wait_for


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
        reader.settle()
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
        reader.settle()
        assert reader.first_ids("farm/pen3/label") == [records[0].id, records[2].id]
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
    sink = SpooledSink(Spool(tmp_path / "spool.sqlite", 10_000_000), delivery, backoff=Backoff(0.05, 60), steady_s=3600)
    twins = []
    for number in range(3):
        sink.write(record(0))
        wait_for(lambda: sink.counts().waiting == 0)
        twins.append(paho.Client(paho.CallbackAPIVersion.VERSION2, "twin", reconnect_on_failure=False))
        twins[-1].connect("127.0.0.1", broker.port)
        twins[-1].loop_start()
        # each loss is a failure, so that the pauses grow
        wait_for(lambda: sink._failures > number)  # noqa: B023
    for twin in twins:
        twin.loop_stop()
    # the log has one line for all of them
    (said,) = [message for message in caplog.messages if "the connection was lost" in message]
    assert "if another board has the client id twin, give one of them ?client=NAME" in said
    sink.close()


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
