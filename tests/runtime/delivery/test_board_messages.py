"""A board's status on a real Mosquitto: kept by it, renewed by what happens, and never a question that was kept."""

import json
from pathlib import Path
from typing import Any

from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.sinks.combining import Sinks
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from tests.made_broker import Mosquitto, Subscriber, needs_broker, paho
from tests.waiting import GENEROUS_S, wait_for

pytestmark = needs_broker


def open_board(folder: Path, port: int, query: str = "") -> tuple[BoardReport, Sinks]:
    report = BoardReport(folder / "farm.onnx", "c4e4961e")
    around = SinkContext(spool=folder / "spool", board=report, names=("red", "blue"))
    sinks = open_sinks(parse_sinks([f"mqtt://127.0.0.1:{port}/farm/pen3{query}"]), around)
    return report, sinks


def statuses(subscriber: Subscriber) -> list[BoardStatus]:
    return [BoardStatus.from_json(payload.decode()) for payload in subscriber.on("farm/pen3/board")]


def test_status_is_kept_by_the_broker_and_renewed_by_a_reload(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber
) -> None:
    report, sinks = open_board(tmp_path, broker.port)
    wait_for(lambda: [each.sha256 for each in statuses(subscriber)] == ["c4e4961e"])
    report.loaded("0042beef")
    wait_for(lambda: [each.sha256 for each in statuses(subscriber)] == ["c4e4961e", "0042beef"])
    late = Subscriber(broker.port)
    wait_for(lambda: statuses(late))
    assert [(status.sha256, status.model) for status in statuses(late)] == [("0042beef", f"{tmp_path}/farm.onnx")]
    late.close()
    sinks.close()


def test_status_is_told_anew_after_each_loss_of_the_broker(
    tmp_path: Path, broker: Mosquitto, subscriber: Subscriber
) -> None:
    _, sinks = open_board(tmp_path, broker.port)
    wait_for(lambda: len(statuses(subscriber)) == 1)
    broker.stop()
    broker.start()
    wait_for(lambda: len(statuses(subscriber)) > 1)
    sinks.close()


def test_status_is_not_kept_where_nothing_is_to_be(tmp_path: Path, broker: Mosquitto, subscriber: Subscriber) -> None:
    _, sinks = open_board(tmp_path, broker.port, "?retain=no")
    wait_for(lambda: statuses(subscriber))
    sinks.close()  # who comes later sees what the broker keeps, and nothing that is sent now
    late = Subscriber(broker.port)
    late.settle()
    assert late.on("farm/pen3/status")
    assert late.on("farm/pen3/board") == []
    late.close()


def test_only_a_question_that_is_asked_now_is_passed_on(tmp_path: Path, broker: Mosquitto) -> None:
    """Whatever else is sent there, and whatever the broker kept, touches nothing."""
    asked = tmp_path / "check"
    client = connected(broker.port)
    publish(client, "farm/pen3/check", "INSTALL", retain=True)
    report, sinks = open_board(tmp_path, broker.port, f"?check={asked}")
    reader = Subscriber(broker.port)
    wait_for(lambda: reader.on("farm/pen3/board"))
    publish(client, "farm/pen3/check", "install; reboot")
    publish(client, "farm/pen3/other", "INSTALL")
    # the link works through what came before this news
    for digest in ("bb", "cc"):
        report.loaded(digest)
        wait_for(lambda digest=digest: digest in [status.sha256 for status in statuses(reader)])  # type: ignore[misc]
    assert not asked.exists()
    publish(client, "farm/pen3/check", "INSTALL")
    wait_for(asked.exists)
    reader.close()
    client.disconnect()
    client.loop_stop()
    sinks.close()


def test_model_is_announced_where_the_board_tells_its_status(tmp_path: Path, broker: Mosquitto) -> None:
    _, sinks = open_board(tmp_path, broker.port, "?discovery=homeassistant")
    late = Subscriber(broker.port)
    wait_for(lambda: [topic for topic, _, _ in late.messages if topic.startswith("homeassistant/update/")])
    (config,) = [json.loads(text) for topic, text, _ in late.messages if topic.startswith("homeassistant/update/")]
    wait_for(lambda: late.on(config["state_topic"]))
    assert BoardStatus.from_json(late.on(config["state_topic"])[0].decode()).sha256 == "c4e4961e"
    late.close()
    sinks.close()


def connected(port: int) -> Any:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "home")
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def publish(client: Any, topic: str, text: str, *, retain: bool = False) -> None:
    client.publish(topic, text, qos=1, retain=retain).wait_for_publish(GENEROUS_S)
