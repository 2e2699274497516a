"""What an MQTT broker is told, and how its address is read; and brokers that are none."""

import contextlib
import json
import random
import socket
import threading
from pathlib import Path
from string import ascii_letters, digits

import pytest

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import discovery, state_topic
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import DeliveryError
from edgevit.runtime.delivery.stored import Stored

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


def test_password_file_without_end_is_not_read_for_ever(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hay5tack\n" + bytes(1 << 20))
    secret = read_secret("EDGEVIT_X", {"EDGEVIT_X_FILE": str(tmp_path / "secret")})
    assert secret == "hay5tack"
    with pytest.raises(OptionError, match=r"^EDGEVIT_X_FILE is /dev/zero, .*: it is not text in UTF-8$"):
        read_secret("EDGEVIT_X", {"EDGEVIT_X_FILE": "/dev/zero"})


def test_regions_have_sensors_of_their_own() -> None:
    messages = dict(discovery(BROKER, "Pen", ["left gate", "right"]))
    labels = [json.loads(text) for topic, text in messages.items() if topic.startswith("homeassistant/sensor/")]
    assert [config["state_topic"] for config in labels] == ["farm/left_gate/label", "farm/right/label"]
    assert len({json.loads(text)["unique_id"] for text in messages.values()}) == len(messages) == 7


def test_region_cannot_leave_its_level_of_the_topic() -> None:
    assert state_topic("farm", "a/../#+/label") == ("farm/a_..___/label", True)
    assert state_topic("farm", "result") == ("farm/result", False)


@pytest.mark.parametrize("pair", [("pen-1", "pen_1"), ("左", "右"), ("a.b", "a:b"), ("x" * 50 + "1", "x" * 50 + "2")])
def test_regions_that_look_alike_are_two_entities(pair: tuple[str, str]) -> None:
    messages = dict(discovery(BROKER, "Pen", pair))
    labels = [json.loads(text) for topic, text in messages.items() if topic.startswith("homeassistant/sensor/")]
    assert len({config["unique_id"] for config in labels}) == len({config["state_topic"] for config in labels}) == 2
    assert all(set(topic) <= set(ascii_letters + digits + "_-/") for topic in messages)


def test_regions_that_would_share_a_topic_are_refused() -> None:
    with pytest.raises(OptionError, match="the regions 'a/b' and 'a_b' would both have the MQTT topic 'a_b'; rename"):
        MqttDelivery(Broker("host", 1883, "farm"), rois=["a/b", "a_b"])


def test_label_expires_when_that_is_asked_for() -> None:
    broker = Broker.from_target(parse_sink("mqtt://host/farm?discovery=ha&expire_after=10m"), {})
    found = [json.loads(text) for _, text in discovery(broker, "Pen")]
    assert [config.get("expire_after") for config in found] == [600, None, None, None, None, None]


def board_files(root: Path, machine: str, serial: str = "") -> Path:
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").write_text(f"{machine}\n")
    if serial:
        (root / "proc/device-tree").mkdir(parents=True)
        (root / "proc/device-tree/serial-number").write_bytes(serial.encode() + b"\0")
    return root


def test_client_id_is_the_same_for_the_same_run_of_the_same_board_only(tmp_path: Path) -> None:
    one, other = board_files(tmp_path / "1", "a" * 32), board_files(tmp_path / "2", "b" * 32)
    # a card that was copied, machine-id and all, into another board
    first, copy = (board_files(tmp_path / serial, "c" * 32, serial) for serial in ("10000000f1", "10000000f2"))
    farm, yard = Broker("host", 1883, "farm"), Broker("host", 1883, "yard")
    names = [
        farm.identity("/var/lib/edgevit", one),
        farm.identity("/var/lib/edgevit", other),
        farm.identity("/var/lib/edgevit-gate", one),
        yard.identity("/var/lib/edgevit", one),
        farm.identity("", first),
        farm.identity("", copy),
    ]
    assert len(set(names)) == 6
    assert farm.identity("/var/lib/edgevit", one) == names[0]
    # 23 characters are what every broker takes
    assert all(len(name) <= 23 and "a" * 32 not in name for name in names)


def test_broker_that_knows_only_version_3_is_spoken_to_in_it(caplog: pytest.LogCaptureFixture) -> None:
    versions: list[int] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            for code in (1, 0):
                connection, _ = listener.accept()
                with connection:
                    # the ninth byte of CONNECT is the version, behind the protocol's name
                    versions.append(connection.recv(4096)[8])
                    connection.sendall(bytes((0x20, 2, 0, code)))
                    while code == 0 and (packet := connection.recv(4096)) and packet[0] >> 4 == 3:
                        length = int.from_bytes(packet[2:4], "big")
                        connection.sendall(b"\x40\x02" + packet[4 + length : 6 + length])

        thread = threading.Thread(target=answer)
        thread.start()
        delivery = MqttDelivery(Broker("127.0.0.1", listener.getsockname()[1], "farm"))
        delivery.ready()
        delivery.send([Stored(1, "1", "label", b"{}")], lambda stored, reason: None)
        delivery.close()
        thread.join()
    assert versions == [5, 4]
    assert (
        "speaks MQTT 3.1.1, in which a broker confirms even what its access list or size limit refuses" in caplog.text
    )
