"""`edgevit fleet list` and `forget` against a real Mosquitto."""

import dataclasses
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import discovery
from edgevit.runtime.moment import iso_time
from tests.made_broker import Mosquitto, Subscriber, needs_broker, paho
from tests.ports import refusing_port
from tests.waiting import GENEROUS_S

Run = Callable[..., tuple[int, str, str]]
pytestmark = needs_broker
STATES = ("label", "counts", "too_dark", "frozen", "gate/label")


def status_of(number: int) -> BoardStatus:
    now = iso_time(time.time())
    return BoardStatus(
        host=f"pen{number}",
        version="0.1.0",
        pid=4711,
        model="/srv/models/farm.onnx",
        sha256=f"{number % 2:08x}" + "0" * 56,
        since=now,
        time=now,
    )


class Home:
    """A broker, and somebody who puts messages there that it keeps."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.broker = Mosquitto(folder / "broker", *lines, own_queue=False)
        self.client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2, "home")
        self.client.max_inflight_messages_set(50)
        self.client.connect("127.0.0.1", self.broker.port)
        self.client.loop_start()

    def address(self, topic: str) -> str:
        return f"mqtt://127.0.0.1:{self.broker.port}/{topic}"

    def keep(self, messages: dict[str, str]) -> None:
        sent = [self.client.publish(topic, text, qos=1, retain=True) for topic, text in messages.items()]
        for each in sent:
            each.wait_for_publish(GENEROUS_S)

    def add_board(self, topic: str, number: int = 0, online: bool = True, **changes: Any) -> None:
        """Leave what a board leaves, as Home Assistant's announcements too."""
        status = dataclasses.replace(status_of(number), **changes)
        messages = {f"{topic}/{name}": "{}" for name in STATES}
        messages |= {f"{topic}/status": "online" if online else "offline", f"{topic}/board": status.to_json()}
        messages |= discovery(Broker("127.0.0.1", 1883, topic, discovery="homeassistant"), topic, ["gate"], board=True)
        self.keep(messages)

    def kept(self) -> set[str]:
        """Return the topics of all that the broker keeps."""
        reader = Subscriber(self.broker.port)
        reader.settle()
        topics = {topic for topic, _, retained in reader.messages if retained}
        reader.close()
        return topics

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.broker.stop()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, "max_queued_messages 100")
    yield home
    home.close()


def test_every_board_is_listed_though_its_broker_keeps_much_more(home: Home, run: Run) -> None:
    """At quality of service 1 its queue of 100 would drop most of the 420 messages of 60 boards."""
    for number in range(60):
        home.add_board(f"farm/barn{number % 7}/pen{number}", number)
    code, out, err = run("fleet", "list", "--json", home.address("farm"))
    boards = json.loads(out)["boards"]
    assert (code, err) == (0, "")
    assert sorted(board["host"] for board in boards) == sorted(f"pen{number}" for number in range(60))
    assert {board["topic"] for board in boards} == {f"farm/barn{number % 7}/pen{number}" for number in range(60)}


def test_table_names_the_silent_and_the_different(home: Home, run: Run) -> None:
    home.add_board("farm/a", 1, temperature_c=61.5)
    home.add_board("farm/b", 2, time="2026-01-01T00:00:00Z", online=False)
    home.keep({"farm/c/board": "damaged"})
    code, out, err = run("fleet", "list", home.address("farm"))
    header, first, second = out.splitlines()
    assert code == 0
    assert header.split() == ["BOARD", "HOST", "MODEL", "VERSION", "SINCE", "FPS", "HEAT", "WAITING", "UPDATE", "SEEN"]
    assert first.split()[:4] == ["farm/a", "pen1", "farm.onnx", "00000001"]
    assert "62 °C" in first
    assert second.split()[:4] == ["farm/b", "pen2", "farm.onnx", "00000000"]
    assert "offline, " in second
    assert "edgevit: farm/c/board holds no status of a board" in err
    assert "edgevit: 2 boards, 1 silent or offline, 2 different models" in err


def test_only_boards_below_the_prefix_are_listed(home: Home, run: Run) -> None:
    home.add_board("farm", 1)
    home.add_board("farmer/a", 2)
    _, out, _ = run("fleet", "list", "--json", home.address("farm"))
    assert [board["topic"] for board in json.loads(out)["boards"]] == ["farm"]


def test_broker_may_be_a_secret_as_after_to(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    home.add_board("farm/a")
    monkeypatch.setenv("FARM_BROKER", home.address("farm"))
    code, out, _ = run("fleet", "list", "secret:FARM_BROKER")
    assert (code, "farm/a" in out) == (0, True)


def test_prefix_without_boards_is_said(home: Home, run: Run) -> None:
    code, out, err = run("fleet", "list", home.address("nowhere"))
    assert (code, out) == (1, "")
    assert f"{home.address('nowhere')} keeps no board's status; boards publish theirs with --to" in err


def test_boards_that_go_on_publishing_do_not_keep_a_list_from_its_end(home: Home, run: Run) -> None:
    home.add_board("farm/a", 1)
    over = False

    def chatter() -> None:
        while not over:
            home.client.publish("farm/a/line", "{}", qos=0).wait_for_publish(GENEROUS_S)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        code, out, _ = run("fleet", "list", "--json", home.address("farm"))
    finally:
        over = True
        thread.join()
    assert (code, len(json.loads(out)["boards"])) == (0, 1)


# ------------------------------------------------------------------ forgetting


def test_forgotten_board_is_gone_with_its_entities_and_nothing_else(home: Home, run: Run) -> None:
    home.add_board("farm/pen30", 2)
    others = home.kept()
    home.add_board("farm/pen3", 1, online=False)
    home.keep({"farm/pen3/thermometer": "21.5"})
    assert len(home.kept() - others) > 12
    code, out, err = run("fleet", "forget", home.address("farm/pen3"))
    assert (code, out) == (0, "")
    assert "farm/pen3 is forgotten: " in err
    assert home.kept() == others | {"farm/pen3/thermometer"}


def test_board_that_is_online_is_not_forgotten(home: Home, run: Run) -> None:
    home.add_board("farm/pen3")
    before = home.kept()
    code, _, err = run("fleet", "forget", home.address("farm/pen3"))
    assert (code, home.kept()) == (1, before)
    assert "farm/pen3 is online; stop its service first" in err


@pytest.mark.parametrize("left", [("farm/pen1", "farm/pen2"), ("farm/pen1",)])
def test_prefix_of_boards_is_not_forgotten(home: Home, run: Run, left: tuple[str, ...]) -> None:
    for topic in left:
        home.add_board(topic, online=False)
    before = home.kept()
    code, _, err = run("fleet", "forget", home.address("farm"))
    assert (code, home.kept()) == (1, before)
    assert "farm is the topic of several boards, such as farm/pen1" in err


def test_what_was_never_a_board_is_not_forgotten(home: Home, run: Run) -> None:
    home.keep({"farm/oven/label": "{}"})
    code, _, err = run("fleet", "forget", home.address("farm"))
    assert (code, home.kept()) == (1, {"farm/oven/label"})
    assert "keeps nothing of a board there; `edgevit fleet list` names boards" in err


# ------------------------------------------------------------------ brokers that do not help


@pytest.mark.parametrize("text", ["farm", "http://broker/farm", "mqtt:/broker", "broker.example"])
def test_what_is_no_address_of_a_broker_is_said(run: Run, text: str) -> None:
    code, _, err = run("fleet", "list", text)
    assert code == 2
    assert "expected mqtt://HOST/PREFIX, such as mqtt://192.168.1.5/farm" in err


def test_broker_that_is_not_there_is_said(run: Run) -> None:
    with refusing_port() as port:
        code, _, err = run("fleet", "list", f"mqtt://127.0.0.1:{port}/farm")
    assert code == 1
    assert f"mqtt://127.0.0.1:{port}/farm cannot be reached: " in err
    assert err.count("\n") == 1


def test_login_is_asked_for_and_taken_from_the_environment(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (program := shutil.which("mosquitto_passwd")) is None:
        pytest.skip("mosquitto_passwd is not installed")
    secrets = tmp_path / "passwords"
    subprocess.run([program, "-c", "-b", secrets, "hens", "hay5tack"], check=True)
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous false", f"password_file {secrets}")
    try:
        address = f"mqtt://hens@127.0.0.1:{broker.port}/farm"
        monkeypatch.setenv("EDGEVIT_MQTT_PASSWORD", "wrong")
        code, _, err = run("fleet", "list", address)
        assert code == 1
        assert "refuses: Not authorized; set EDGEVIT_MQTT_USER and EDGEVIT_MQTT_PASSWORD" in err
        monkeypatch.setenv("EDGEVIT_MQTT_PASSWORD", "hay5tack")
        assert "keeps no board's status" in run("fleet", "list", address)[2]
    finally:
        broker.stop()
