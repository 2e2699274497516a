"""What an MQTT broker is told, and how its address is read; and brokers that are none."""

import contextlib
import json
import random
import socket
import threading

import pytest

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import discovery, state_topic
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import DeliveryError
from edgevit.runtime.delivery.spool import Stored
from edgevit.runtime.destinations import parse_sink

BROKER = Broker("host", 1883, "farm", discovery="homeassistant")

pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: pip install 'edgevit[mqtt]'")


def test_certificate_that_is_missing_is_one_line_at_the_start() -> None:
    target = parse_sink("mqtts://127.0.0.1/farm?ca=/does/not/exist.crt")
    with pytest.raises(
        OutputError, match=r"the certificates /does/not/exist.crt for mqtts://127.0.0.1:8883/farm cannot"
    ):
        MqttDelivery(Broker.from_target(target, {}))


def test_rubbish_from_a_broker_is_no_delivery_and_no_crash() -> None:
    chance = random.Random(1)
    accepted = b"\x20\x02\x00\x00"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            for number in range(20):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall((b"", accepted)[number % 2] + chance.randbytes(chance.randrange(1, 40)))

        thread = threading.Thread(target=answer)
        thread.start()
        delivery = MqttDelivery(Broker("127.0.0.1", listener.getsockname()[1], "farm"))

        def attempt() -> None:
            delivery.ready()
            delivery.send([Stored(1, "1", "label", b"{}")], lambda stored, reason: None)

        for _ in range(20):
            with pytest.raises(DeliveryError):
                attempt()
        thread.join()
        delivery.close()


def test_user_and_port_are_read_from_the_address() -> None:
    broker = Broker.from_target(parse_sink("mqtt://b%40rd@host:1884/a/b/?retain=no&client=me"), {})
    assert (broker.user, broker.host, broker.port, broker.topic) == ("b@rd", "host", 1884, "a/b")
    assert (broker.client_id, broker.retain, broker.name) == ("me", False, "mqtt://host:1884/a/b")
    plain = Broker.from_target(parse_sink("mqtts://host"), {"EDGEVIT_MQTT_USER": "board"})
    assert (plain.port, plain.tls, plain.user, plain.topic) == (8883, True, "board", "edgevit")


def test_password_file_that_is_missing_is_one_line() -> None:
    with pytest.raises(OptionError, match="EDGEVIT_MQTT_PASSWORD_FILE is /no/file, which cannot be read: No such file"):
        Broker.from_target(parse_sink("mqtt://host/a"), {"EDGEVIT_MQTT_PASSWORD_FILE": "/no/file"})


def test_regions_have_sensors_of_their_own() -> None:
    messages = dict(discovery(BROKER, "Pen", ["left gate", "right"]))
    labels = [json.loads(text) for topic, text in messages.items() if topic.startswith("homeassistant/sensor/")]
    assert [config["state_topic"] for config in labels] == ["farm/left_gate/label", "farm/right/label"]
    assert len({json.loads(text)["unique_id"] for text in messages.values()}) == len(messages) == 7


def test_region_cannot_leave_its_level_of_the_topic() -> None:
    assert state_topic("farm", "a/../#+/label") == ("farm/a_..___/label", True)
    assert state_topic("farm", "result") == ("farm/result", False)
