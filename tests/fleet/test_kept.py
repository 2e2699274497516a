"""What a broker keeps, by a client that does what the test tells it; test_watch.py asks a real broker where one is."""

import re
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from edgevit.errors import BrokerError
from edgevit.fleet import kept as kept_module
from edgevit.fleet.kept import KeptMessages
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt_client import V311

BROKER = Broker("yard.local", 1884, "farm")
NAME = "mqtt://yard.local:1884/farm"


class Reason(str):
    """What a broker answers, as paho shows it."""

    is_failure: bool = False


def refused(text: str) -> Reason:
    reason = Reason(text)
    reason.is_failure = True
    return reason


@dataclass
class MadeClient:
    """A client whose broker answers at once, unless it is told to be silent."""

    accepts: Reason | None = field(default_factory=lambda: Reason("Success"))
    rights: tuple[Reason, ...] | None = (Reason("Granted QoS 0"),)
    kept: tuple[tuple[str, bytes, bool], ...] = ()
    """Topic, payload and whether it is retained of what comes after the first subscription."""
    published_at_once: bool = True
    made_as: tuple[Any, ...] = ()
    """Broker, name and version of the protocol that it was made with."""
    done: list[Any] = field(default_factory=list)
    on_connect: Callable[..., None] = print
    on_disconnect: Callable[..., None] = print
    on_subscribe: Callable[..., None] = print
    on_message: Callable[..., None] = print

    def connect(self, host: str, port: int) -> None:
        self.done.append(("connect", host, port))

    def loop_start(self) -> None:
        self.done.append("start")
        if self.accepts is not None:
            self.on_connect(self, None, None, self.accepts, None)

    def disconnect(self) -> None:
        self.done.append("disconnect")

    def loop_stop(self) -> None:
        self.done.append("stop")

    def subscribe(self, topics: list[tuple[str, int]]) -> tuple[int, int]:
        number = 1 + sum(isinstance(each, list) for each in self.done)
        self.done.append(topics)
        if self.rights is not None:
            self.on_subscribe(self, None, number, self.rights, None)
        for topic, payload, retain in self.kept if number == 1 else ():
            self.on_message(self, None, types.SimpleNamespace(topic=topic, payload=payload, retain=retain))
        return 0, number

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> Any:
        self.done.append((topic, payload, qos, retain))
        return types.SimpleNamespace(is_published=lambda: self.published_at_once)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> MadeClient:
    """Return the client; nothing is waited for longer than a moment."""
    made = MadeClient()

    def new_client(*told: Any) -> MadeClient:
        made.made_as = told
        return made

    monkeypatch.setattr(kept_module, "new_client", new_client)
    for name, value in {"QUIET_S": 0.0, "LIMIT_S": 0.0, "CONNECT_S": 0.0, "LOOK_S": 0.001}.items():
        monkeypatch.setattr(kept_module, name, value)
    return made


def test_client_has_a_name_of_its_own_and_speaks_what_every_broker_does(client: MadeClient) -> None:
    names = set()
    for _ in range(2):
        KeptMessages(BROKER)
        broker, name, version = client.made_as
        assert (broker, version) == (BROKER, V311)
        assert re.fullmatch(r"edgevit-fleet-[0-9a-f]{12}", name)
        names.add(name)
    assert len(names) == 2


def test_what_is_kept_is_read_as_far_as_it_is_wanted(client: MadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "LIMIT_S", 60.0)
    # long enough to be waited for
    monkeypatch.setattr(kept_module, "QUIET_S", 0.02)
    large = b"x" * 64_000
    client.kept = (
        ("farm/a/board", b"{}", True),
        ("farm/b/board", large, True),
        ("farm/c/board", large + b"xx", True),
        ("farm/d/board", b"", True),
        ("farm/a/label", b"hen", True),
        # not kept, but said just now: newer than what is
        ("farm/a/board", b"{1}", False),
    )
    with KeptMessages(BROKER) as kept:
        found = kept.read(["farm/#", "farm/+/status"], lambda topic: topic.endswith("/board"))
    assert found.pop("farm/a/board") == b"{1}"
    # one byte more tells that it is none of ours
    lengths = {topic: len(payload) for topic, payload in found.items()}
    assert lengths == {"farm/b/board": 64_000, "farm/c/board": 64_001}
    assert client.done == [
        ("connect", "yard.local", 1884),
        "start",
        [("farm/#", 0), ("farm/+/status", 0)],
        [("farm/board", 0)],
        "disconnect",
        "stop",
    ]


def test_messages_that_go_on_coming_do_not_count_as_kept_ones(client: MadeClient) -> None:
    with KeptMessages(BROKER) as kept:
        before_s = kept._last_s
        for retain, is_news in ((False, False), (True, True)):
            client.on_message(client, None, types.SimpleNamespace(topic="farm/a", payload=b"{}", retain=retain))
            assert (kept._last_s > before_s) == is_news


def test_user_who_may_not_read_there_is_told(client: MadeClient) -> None:
    client.rights = (Reason("Granted QoS 0"), refused("Not authorized"))
    with (
        pytest.raises(BrokerError, match=f"^{NAME} does not let this user read farm/#, farm/x$"),
        KeptMessages(BROKER) as kept,
    ):
        kept.read(["farm/#", "farm/x"])
    assert client.done[-2:] == ["disconnect", "stop"]


def test_broker_that_refuses_says_why_and_the_client_is_ended(client: MadeClient) -> None:
    client.accepts = refused("Bad user name or password")
    with pytest.raises(BrokerError, match=f"^{NAME} refuses: Bad user name or password; set EDGEVIT_MQTT_USER"):
        KeptMessages(BROKER).__enter__()
    assert client.done[-2:] == ["disconnect", "stop"]


def test_broker_that_is_not_there_is_told(client: MadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(host: str, port: int) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    client.connect = refuse  # type: ignore[method-assign]
    with pytest.raises(BrokerError, match=f"^{NAME} cannot be reached: .*Connection refused$"):
        KeptMessages(BROKER).__enter__()


def test_silence_is_told_with_what_was_waited_for(client: MadeClient) -> None:
    client.accepts = None
    with pytest.raises(BrokerError, match=f"^{NAME} took more than 0 s to accept the connection; is it an MQTT broker"):
        KeptMessages(BROKER).__enter__()
    client.accepts, client.rights = Reason("Success"), None
    with (
        pytest.raises(BrokerError, match=f"^{NAME} took more than 0 s to answer a subscription$"),
        KeptMessages(BROKER) as kept,
    ):
        kept.read(["farm/#"])


def test_connection_that_is_lost_is_told(client: MadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "LIMIT_S", 60.0)
    client.rights = None
    lost = f"^the connection to {NAME} was lost while waiting for it to answer a subscription$"
    with KeptMessages(BROKER) as kept:
        client.on_disconnect(client)
        with pytest.raises(BrokerError, match=lost):
            kept.read(["farm/#"])


def test_what_is_to_be_forgotten_is_replaced_by_nothing_and_confirmed(client: MadeClient) -> None:
    with KeptMessages(BROKER) as kept:
        kept.forget(["farm/a/board", "farm/a/status"])
        sent = [each for each in client.done if isinstance(each, tuple) and len(each) == 4]
        assert sent == [("farm/a/board", b"", 1, True), ("farm/a/status", b"", 1, True)]
        client.published_at_once = False
        with pytest.raises(BrokerError, match=f"^{NAME} took more than 0 s to confirm what it is to forget$"):
            kept.forget(["farm/a/board"])


def test_reading_ends_only_once_the_broker_has_been_quiet(client: MadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "QUIET_S", 60.0)
    with (
        pytest.raises(BrokerError, match=f"^{NAME} took more than 0 s to send all that it keeps$"),
        KeptMessages(BROKER) as kept,
    ):
        kept.read(["farm/#"])
