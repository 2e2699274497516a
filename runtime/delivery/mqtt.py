"""Delivery to an MQTT broker: version 5 or 3.1.1, quality of service 1, last will, TLS, Home Assistant discovery."""

import logging
import platform
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgevit.runtime.delivery.board_link import BoardLink, Status
from edgevit.runtime.delivery.board_topics import OFFLINE, ONLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import (
    check_regions,
    discovery,
    no_longer_announced,
    state_topic,
    subscription,
)
from edgevit.runtime.delivery.mqtt_client import CONNECT_S, V5, V311
from edgevit.runtime.delivery.mqtt_session import Session
from edgevit.runtime.delivery.sender import DeliveryError, Refuse
from edgevit.runtime.delivery.stored import Stored

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""How long a broker may take to confirm the next message."""
UNANSWERED = 3
"""Connections that a broker closes without a word before it is taken for one that knows only version 3.1.1."""
SUSPECT, HOPELESS = 2, 5
"""Connections lost in a row on sending a record: after so many it is sent alone, and given up."""
LARGE, LIMIT_S = 1000, 3600.0
"""A record of so many bytes may have been too large for a broker that says nothing; how long that is believed."""

Message = tuple[str, bytes | str, bool]
"""Topic, payload, and whether the broker is to keep it."""


class MqttDelivery:
    """A session with one broker at a time: after any trouble a new one, so that nothing old is left in the client."""

    def __init__(
        self,
        broker: Broker,
        *,
        device: str = "",
        rois: Sequence[str] = (),
        classes: Sequence[str] = (),
        watched: Sequence[str] = (),
        lines: Sequence[str] = (),
        run: str = "",
        board: Status | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            broker: where to.
            device: name that Home Assistant shows; the machine's by default.
            rois: regions that it announces.
            classes: whose counts it announces, in place of a label.
            watched: those of them that rules are about.
            lines: whose totals it announces.
            run: tells runs on one board apart, such as the folder of their spools.
            board: what is told of the board itself.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: a certificate cannot be read.
            OptionError: two regions would share a topic.
        """
        self.name = broker.name
        self._broker, self._identity = broker, broker.identity(run)
        check_regions(rois)
        self._link = BoardLink(broker, board)
        self._announced: dict[str, str] = {}
        if broker.discovery:
            shown = device or f"edgevit {platform.node()}"
            self._announced = dict(discovery(broker, shown, rois, classes, watched, lines, board=board is not None))
        self._session: Session | None = None
        self._knows_5 = True
        self._unanswered = self._losses = 0
        self._confirmed = 0
        """Bytes of the largest record that was confirmed."""
        self._limit: tuple[int, float] | None = None
        """Bytes of a record on which connections were lost, and until when no larger one is sent."""
        self._told: set[str] = set()
        self._aborted = False
        # a certificate that is missing is said now
        Session(broker, self._identity, V5)

    def ready(self) -> None:
        if self._session is not None and self._session.lost.is_set():
            reason = self._session.why_lost()
            self._drop()
            raise DeliveryError(reason)
        if self._session is None:
            self._session = self._connect()
            if self._broker.discovery:
                self._session.subscribe(subscription(self._broker))
            if (question := self._link.question) is not None:
                self._session.subscribe(question)
            self._announce([*((topic, text, True) for topic, text in self._announced.items()), self._status(ONLINE)])
            self._announce(self._link.messages(anyway=True))
        self._remove_old()
        self._announce(self._link.messages())
        if (trouble := self._link.pass_on(self._session.asked)) is not None:
            self._say_once(trouble)

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        messages: list[Message] = []
        for stored in batch:
            topic, is_state = state_topic(self._broker.topic, stored.channel)
            messages.append((topic, stored.body, is_state and self._broker.retain))

        def note(number: int, reason: str) -> None:
            refuse(batch[number], reason)

        if self._losses >= SUSPECT:
            self._send_suspect(messages[:1], note)
            self._publish(messages, note, first=1)
        else:
            self._publish(messages, note)

    def abort(self) -> None:
        self._aborted = True

    def close(self) -> None:
        """Say that the board is offline by its own will, and disconnect."""
        if self._session is not None and not self._session.lost.is_set():
            try:
                self._announce([self._status(OFFLINE)])
            except DeliveryError as error:  # then the broker publishes the last will, which says the same
                log.info("%s: cannot say that this board is offline: %s", self.name, error)
        self._drop()

    def _connect(self) -> Session:
        """Return a session that the broker has accepted, in the newest version that it knows."""
        version = V5 if self._knows_5 and self._unanswered < UNANSWERED else V311
        session = self._open(version)
        if session.refusal.endswith("Unsupported protocol version") and version == V5:
            self._knows_5 = False
            session.close()
            session = self._open(V311)
        if not session.answered.is_set():
            session.close()
            # a broker that is being stopped closes connections too: version 5 is tried again each time
            self._unanswered = self._unanswered + 1 if version == V5 else UNANSWERED - 1
            raise DeliveryError(f"the broker closed the connection; {session.why_lost()}")
        if session.refusal:
            session.close()
            raise DeliveryError(session.refusal)
        self._unanswered = 0 if session.version == V5 else UNANSWERED - 1
        if session.version == V311:
            self._say_once(
                f"{self.name} speaks MQTT 3.1.1, in which a broker confirms even what its access list or size limit "
                "refuses: look for such records in the broker's log"
            )
        return session

    def _open(self, version: int) -> Session:
        session = Session(self._broker, self._identity, version)
        try:
            session.open()
        except (OSError, ValueError) as error:
            raise DeliveryError(f"cannot connect: {error}") from error
        until_s = time.monotonic() + CONNECT_S
        while not session.answered.wait(0.1) and not session.lost.is_set():
            if time.monotonic() > until_s or self._aborted:
                session.close()
                raise DeliveryError(f"connected, but no answer within {CONNECT_S:.0f} s; is it an MQTT broker?")
        return session

    def _status(self, text: str) -> Message:
        return (f"{self._broker.topic}/{STATUS}", text, True)

    def _announce(self, messages: Sequence[Message]) -> None:
        """Publish what is no record; the broker's refusals are said, and are no failure."""

        def note(number: int, reason: str) -> None:
            self._say_once(f"{self.name}, topic {messages[number][0]}: {reason}")

        losses = self._losses
        try:
            self._publish(messages, note)
        finally:
            # no record had a part in it
            self._losses = losses

    def _remove_old(self) -> None:
        """Have the broker forget what an earlier run announced and this one does not."""
        assert self._session is not None
        gone: list[Message] = []
        try:
            while True:
                topic, message = self._session.old.get_nowait()
                gone += [
                    (each, b"", True) for each in no_longer_announced(self._broker, self._announced, topic, message)
                ]
        except queue.Empty:
            self._announce(gone)

    def _send_suspect(self, messages: Sequence[Message], refused: Callable[[int, str], None]) -> None:
        """Send a record alone that connections did not survive; after many attempts it is given up."""
        try:
            self._publish(messages, refused)
        except DeliveryError as error:
            if self._losses < HOPELESS:
                raise
            self._losses = 0
            size = len(messages[0][1])
            if size >= LARGE and 0 < 2 * self._confirmed < size:
                self._limit = (size, time.monotonic() + LIMIT_S)
            refused(0, f"the broker ended the connection {HOPELESS} times when it was sent, {size} bytes")
            raise DeliveryError(str(error), 1) from error

    def _publish(self, messages: Sequence[Message], refused: Callable[[int, str], None], first: int = 0) -> None:
        """Publish from `first` on, and wait until the broker has answered all; tell of those that it refused.

        Raises:
            DeliveryError: the connection was lost; those before are confirmed or refused.
        """
        session = self._session
        assert session is not None
        waiting: list[Any] = []
        until_s = time.monotonic() + PATIENCE_S
        for number in range(first, len(messages)):
            try:
                for message in messages[first + len(waiting) : number + session.window]:
                    waiting.append(None if self._is_too_large(message) else session.publish(*message))
                info = waiting[number - first]
                while info is not None and not info.is_published():
                    info.wait_for_publish(0.2)
                    if session.lost.is_set() and not info.is_published():
                        self._losses += not session.is_taken_over
                        raise self._ended(session.why_lost(), number)
                    if self._aborted or time.monotonic() > until_s:
                        self._losses += not self._aborted
                        why = "told to end" if self._aborted else f"no confirmation within {PATIENCE_S:.0f} s"
                        raise self._ended(why, number)
            except (ValueError, RuntimeError) as error:
                raise self._ended(str(error), number) from error
            if (reason := session.refusal_of(info)) is not None:
                refused(number, reason)
            elif info is not None:
                self._confirmed = max(self._confirmed, len(messages[number][1]))
            self._losses = 0
            until_s = time.monotonic() + PATIENCE_S

    def _is_too_large(self, message: Message) -> bool:
        return self._limit is not None and len(message[1]) >= self._limit[0] and time.monotonic() < self._limit[1]

    def _ended(self, why: str, number: int) -> DeliveryError:
        self._drop()
        return DeliveryError(why, number)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("%s", text)
