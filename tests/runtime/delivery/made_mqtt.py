"""A sink that sends to a broker at once and tries again soon, and records for it."""

from pathlib import Path
from typing import Any

from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt import MqttDelivery
from edgevit.runtime.delivery.sender import SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record

FAST = Backoff(first_s=0.05, most_s=0.2)


def record(number: int, kind: str = "label", roi: str | None = None, **facts: Any) -> Record:
    return event_record(Event(kind, Moment("pen", number, number, 1e9 + number, roi), facts or {"label": f"l{number}"}))


def open_sink(folder: Path, port: int, query: str = "", environment: dict[str, str] | None = None) -> SpooledSink:
    target = parse_sink(f"mqtt://127.0.0.1:{port}/farm/pen3{query}")
    delivery = MqttDelivery(Broker.from_target(target, environment or {}), device="Pen 3")
    return SpooledSink(Spool(folder / "spool.sqlite", 10_000_000), delivery, backoff=FAST, steady_s=0.05)
