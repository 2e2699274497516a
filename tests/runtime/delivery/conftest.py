"""A broker of its own for each test, and somebody who listens to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.made_broker import Mosquitto, Subscriber


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
