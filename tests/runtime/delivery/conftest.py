"""A broker of its own for each test, and somebody who listens to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgevit.runtime.delivery.sender import SpooledSink
from tests.waiting import GENEROUS_S

if TYPE_CHECKING:
    from tests.made_broker import Mosquitto, Subscriber


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever says nothing else deliver at its end for as long as a busy machine takes."""
    defaults = SpooledSink.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "drain_s", GENEROUS_S)


@pytest.fixture
def broker(tmp_path: Path) -> "Iterator[Mosquitto]":
    from tests.made_broker import Mosquitto  # which skips what needs it where there is no client

    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.fixture
def subscriber(broker: "Mosquitto") -> "Iterator[Subscriber]":
    from tests.made_broker import Subscriber

    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()
