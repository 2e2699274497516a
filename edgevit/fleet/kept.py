"""What an MQTT broker keeps below a topic: read whole in one go, and forgotten where somebody wants it so."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from edgevit.errors import BrokerError
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.mqtt_client import CONNECT_S, LOGIN_HINT, V311, new_client

QUIET_S = 0.3
"""After its last answer a broker that sends nothing for so long has sent all."""
LIMIT_S = 60.0
"""How long reading may take in all."""
LARGEST_BYTES = 64_000
"""What is read of a message, and one byte more of a larger one, which is not ours."""
LOOK_S = 0.05


class KeptMessages:
    """A connection that reads at quality of service 0: at 1 a broker drops what does not fit into its queue."""

    def __init__(self, broker: Broker) -> None:
        """Connect, as a context manager.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: a certificate cannot be read.
        """
        self._broker = broker
        self._found: dict[str, bytes] = {}
        self._wanted: Callable[[str], bool] = lambda topic: True
        self._last_s = 0.0
        self._answers: dict[int, bool] = {}
        """Subscriptions that the broker has answered, to whether it let us."""
        self._connected, self._lost = threading.Event(), threading.Event()
        self._refusal = ""
        self._client = new_client(broker, f"edgevit-fleet-{secrets.token_hex(6)}", V311)
        self._client.on_connect, self._client.on_disconnect = self._note_answer, self._note_loss
        self._client.on_subscribe, self._client.on_message = self._note_rights, self._note_message

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            BrokerError: nobody answers there, or refuses.
        """
        try:
            self._client.connect(self._broker.host, self._broker.port)
        except (OSError, ValueError) as error:
            raise BrokerError(f"{self._broker.name} cannot be reached: {error}") from error
        self._client.loop_start()
        try:
            self._wait(self._connected.is_set, "to accept the connection; is it an MQTT broker?", CONNECT_S)
            if self._refusal:
                raise BrokerError(f"{self._broker.name} refuses: {self._refusal}{LOGIN_HINT}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def read(self, topics: Sequence[str], wanted: Callable[[str], bool] = lambda topic: True) -> dict[str, bytes]:
        """Return what the broker keeps, by topic; LARGEST_BYTES and one more of what is larger.

        Args:
            topics: with wildcards.
            wanted: which of the topics found there to take.

        Raises:
            BrokerError: it does not let us read there, or the connection is lost.
        """
        self._found, self._wanted, self._last_s = {}, wanted, time.monotonic()
        # a broker answers in order: when it has answered the second, it has begun to send all that the first asks for
        for asked in (list(topics), [topics[0].replace("#", "board").replace("+", "board")]):
            _, number = self._client.subscribe([(topic, 0) for topic in asked])
            self._wait(lambda number=number: number in self._answers, "to answer a subscription", LIMIT_S)  # type: ignore[misc]
            if not self._answers[number]:
                raise BrokerError(f"{self._broker.name} does not let this user read {', '.join(asked)}")
        self._wait(lambda: time.monotonic() - self._last_s > QUIET_S, "to send all that it keeps", LIMIT_S)
        return dict(self._found)

    def forget(self, topics: Iterable[str]) -> None:
        """Have the broker forget what it keeps under these topics.

        Raises:
            BrokerError: it does not confirm that.
        """
        sent = [self._client.publish(topic, b"", qos=1, retain=True) for topic in topics]
        self._wait(lambda: all(each.is_published() for each in sent), "to confirm what it is to forget", LIMIT_S)

    def _wait(self, condition: Callable[[], bool], what: str, limit_s: float) -> None:
        until_s = time.monotonic() + limit_s
        while not condition():
            if self._lost.wait(LOOK_S) and not condition():
                raise BrokerError(f"the connection to {self._broker.name} was lost while waiting for it {what}")
            if time.monotonic() > until_s:
                raise BrokerError(f"{self._broker.name} took more than {limit_s:.0f} s {what}")

    # ------------------------------------------------------------ called from the client's thread

    def _note_answer(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else ""
        self._connected.set()

    def _note_loss(self, *_: object) -> None:
        self._lost.set()

    def _note_rights(self, _client: Any, _data: Any, number: int, reasons: Any, _properties: Any) -> None:
        self._answers[number] = not any(reason.is_failure for reason in reasons)

    def _note_message(self, _client: Any, _data: Any, message: Any) -> None:
        if message.retain:
            self._last_s = time.monotonic()
        if message.payload and self._wanted(message.topic):
            self._found[message.topic] = message.payload[: LARGEST_BYTES + 1]
