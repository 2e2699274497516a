"""One connection to an MQTT broker, from its opening to its loss: what the broker says of it and of each message."""

import logging
import queue
import threading
import time
from typing import Any

from edgevit.runtime.delivery.board_topics import CHECK, INSTALL, OFFLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt_client import LOGIN_HINT, new_client
from edgevit.runtime.delivery.sender import BATCH

log = logging.getLogger(__name__)

KEEPALIVE_S = 30
"""How often the broker hears from us at least; after one and a half times that it publishes the last will."""
EARLY_S = 60.0
"""A connection that is lost sooner was perhaps taken over."""
PACKET = 16
"""Bytes of a packet beside its topic and its message, at most."""
_OLD = 1000
"""Old announcements that are looked at."""


class Session:
    """A client of paho-mqtt that connects once, and what became of it; made anew after any trouble."""

    def __init__(self, broker: Broker, identity: str, version: int) -> None:
        """Connect to nothing yet.

        Args:
            broker: where to.
            identity: the client id.
            version: V5 or V311.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: a certificate cannot be read.
        """
        self.version = version
        self.answered, self.lost = threading.Event(), threading.Event()
        self.refusal = ""
        """Why the broker does not want us."""
        self.old: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        """Topic and message of what the broker kept below the topics that were subscribed to."""
        self.asked = threading.Event()
        """Set when somebody asks the board to look for a newer model."""
        self.window = BATCH
        """Messages that the broker lets wait for its confirmation at a time."""
        self._broker, self._identity = broker, identity
        self._loss = ""
        self._refused: dict[int, str] = {}
        self._largest = 0
        self._keeps = True
        self._begun_s = time.monotonic()
        client = new_client(broker, identity, version)
        client.max_inflight_messages_set(BATCH)
        client.will_set(f"{broker.topic}/{STATUS}", OFFLINE, qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._note_answer, self._note_loss
        client.on_publish, client.on_subscribe, client.on_message = (
            self._note_ack,
            self._note_rights,
            self._note_message,
        )
        loop = client.loop_forever

        def loop_until_lost(*arguments: Any, **options: Any) -> Any:
            # what a broker sends may be rubbish, which the client meets with errors of any kind
            try:
                return loop(*arguments, **options)
            except Exception as error:
                self._loss = self._loss or f"it sends what is no MQTT ({type(error).__name__})"
            finally:
                self.lost.set()

        client.loop_forever = loop_until_lost
        self.client = client

    def open(self) -> None:
        """Connect and start the thread; `answered` or `lost` is set when it is known what the broker says.

        Raises:
            OSError: nobody answers there; ValueError for a name that is none.
        """
        self.client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._begun_s = time.monotonic()
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic: str) -> None:
        """Ask for what is published below a topic, with wildcards; it comes to `old` or `asked`."""
        self.client.subscribe(topic, qos=1)

    def publish(self, topic: str, payload: bytes | str, retain: bool) -> Any:
        """Hand a message over; return its state, or None if it is larger than the broker takes."""
        data = payload.encode() if isinstance(payload, str) else payload
        if self._largest and len(data) + len(topic.encode()) + PACKET > self._largest:
            return None
        return self.client.publish(topic, data, 1, retain and self._keeps)

    def refusal_of(self, info: Any) -> str | None:
        """Return why the broker refused a message that it has answered, or None if it took it."""
        if info is None:
            limit = (
                f"at most {self._largest} bytes" if self._largest else "fewer bytes, as a loss of the connection showed"
            )
            return f"the broker takes packets of {limit}"
        reason = self._refused.pop(info.mid, None)
        return None if reason is None else f"the broker refuses it: {reason}"

    @property
    def is_taken_over(self) -> bool:
        return self._loss == "Session taken over"

    def why_lost(self) -> str:
        """Return one line: what the broker said, and what may be done about it."""
        lived_s = time.monotonic() - self._begun_s
        hint = ""
        # not every broker says that it was so
        if self.is_taken_over or (not self._loss and self.answered.is_set() and lived_s < EARLY_S):
            hint = f"; if another board has the client id {self._identity}, give one of them ?client=NAME"
            hint += "" if self.is_taken_over else ", else the broker's log may say why"
        return f"the connection was lost after {lived_s:.0f} s{f': {self._loss}' if self._loss else ''}{hint}"

    # ------------------------------------------------------------ called from the client's thread

    def _note_answer(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            denied = str(reason) in ("Not authorized", "Bad user name or password")
            self.refusal = f"the broker refuses: {reason}{LOGIN_HINT if denied else ''}"
        if properties is not None:
            self._largest = getattr(properties, "MaximumPacketSize", 0)
            self._keeps = bool(getattr(properties, "RetainAvailable", 1))
            self.window = min(BATCH, getattr(properties, "ReceiveMaximum", BATCH))
        self.answered.set()

    def _note_loss(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        # "Unspecified error" is the client's own word for a connection that ended without one
        if not self._loss and reason.is_failure and str(reason) != "Unspecified error":
            self._loss = str(reason)
        self.lost.set()

    def _note_ack(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused[mid] = str(reason)

    def _note_rights(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            log.warning(
                "%s does not let this board read what it announced or is asked; entities of renamed regions stay",
                self._broker.name,
            )

    def _note_message(self, _client: Any, _data: Any, message: Any) -> None:
        if message.topic == f"{self._broker.topic}/{CHECK}":
            # one that was kept was not asked now
            if message.payload == INSTALL.encode() and not message.retain:
                self.asked.set()
        elif message.retain and message.payload and self.old.qsize() < _OLD:
            self.old.put((message.topic, message.payload))
