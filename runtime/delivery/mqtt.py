"""Delivery to an MQTT broker: quality of service 1, last will, TLS, Home Assistant discovery."""

import hashlib
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from edgevit.errors import MissingExtraError, OutputError
from edgevit.runtime.delivery.credentials import read_secret
from edgevit.runtime.delivery.homeassistant import OFFLINE, ONLINE, discovery, state_topic
from edgevit.runtime.delivery.sender import BATCH, DeliveryError
from edgevit.runtime.delivery.spool import Stored
from edgevit.runtime.destinations import Target

CONNECT_S = 10.0
"""How long a broker may take to accept a connection."""
PATIENCE_S = 30.0
"""How long a broker may take to confirm the next message."""
KEEPALIVE_S = 30
"""How often the broker hears from us at least; after one and a half times that it publishes the last will."""


@dataclass(frozen=True)
class Broker:
    """Where, as whom, and how to publish."""

    host: str
    port: int
    topic: str
    """Base of all topics."""
    tls: bool = False
    user: str | None = None
    password: str | None = None
    retain: bool = True
    """Have the broker keep the last message of each state."""
    discovery: str | None = None
    """Home Assistant's discovery prefix; None to announce nothing."""
    client_id: str | None = None
    ca: str | None = None
    """File of the authorities to trust; None for the system's."""
    cert: str | None = None
    key: str | None = None

    @property
    def name(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}/{self.topic}"

    @classmethod
    def from_target(cls, target: Target, environment: Mapping[str, str]) -> "Broker":
        """Read mqtt://[USER@]HOST[:PORT]/TOPIC; user and password also from EDGEVIT_MQTT_USER and _PASSWORD[_FILE].

        Raises:
            OptionError: a secret cannot be read.
        """
        parts = urlsplit(target.place)
        tls = parts.scheme.lower() == "mqtts"
        options = target.options
        return cls(
            host=parts.hostname or "",
            port=parts.port or (8883 if tls else 1883),
            topic=unquote(parts.path.strip("/")) or "edgevit",
            tls=tls,
            user=unquote(parts.username) if parts.username else read_secret("EDGEVIT_MQTT_USER", environment),
            password=read_secret("EDGEVIT_MQTT_PASSWORD", environment),
            retain=options.get("retain", True),
            discovery=options.get("discovery"),
            client_id=options.get("client"),
            **{name: options.get(name) for name in ("ca", "cert", "key")},
        )


class MqttDelivery:
    """A session with one broker at a time: after any trouble a new one, so that nothing old is left in the client."""

    def __init__(self, broker: Broker, *, device: str = "", rois: Sequence[str] = ()) -> None:
        """Connect to nothing yet.

        Args:
            broker: where to.
            device: name that Home Assistant shows; the machine's by default.
            rois: regions that it announces.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: a certificate cannot be read.
        """
        self.name = broker.name
        self._broker = broker
        self._announced = (
            list(discovery(broker.discovery, broker.topic, device or f"edgevit {platform.node()}", rois))
            if broker.discovery
            else []
        )
        self._lost, self._answered, self._aborted = threading.Event(), threading.Event(), False
        self._refusal = ""
        self._client: Any = None
        self._new_client()

    def ready(self) -> None:
        if self._client is not None and not self._lost.is_set():
            return
        self._drop()
        client = self._new_client()
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise DeliveryError(f"cannot connect: {error}") from error
        self._client = client
        client.loop_start()
        until_s = time.monotonic() + CONNECT_S
        while not self._answered.wait(0.1) and not self._lost.is_set():
            if time.monotonic() > until_s or self._aborted:
                self._drop()
                raise DeliveryError(f"connected, but no answer within {CONNECT_S:.0f} s; is it an MQTT broker?")
        if self._refusal or self._lost.is_set():
            self._drop()
            raise DeliveryError(self._refusal or "the broker closed the connection")
        announcements = [(topic, payload, True) for topic, payload in self._announced]
        self._publish([*announcements, (f"{self._broker.topic}/status", ONLINE, True)])

    def send(self, batch: Sequence[Stored]) -> None:
        messages = []
        for stored in batch:
            topic, is_state = state_topic(self._broker.topic, stored.channel)
            messages.append((topic, stored.body, is_state and self._broker.retain))
        self._publish(messages)

    def abort(self) -> None:
        self._aborted = True

    def close(self) -> None:
        """Say that the board is offline by its own will, and disconnect."""
        if self._client is not None and not self._lost.is_set():
            try:
                self._publish([(f"{self._broker.topic}/status", OFFLINE, True)])
            except DeliveryError:  # then the broker publishes the last will, which says the same
                self._lost.set()
        self._drop()

    def _new_client(self) -> Any:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError as error:
            raise MissingExtraError("paho-mqtt", "publishing to an MQTT broker", "mqtt") from error
        broker = self._broker
        identity = hashlib.sha256(f"{platform.node()}/{broker.topic}".encode()).hexdigest()[:12]
        client = paho.Client(
            CallbackAPIVersion.VERSION2, broker.client_id or f"edgevit-{identity}", reconnect_on_failure=False
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(BATCH)
        client.will_set(f"{broker.topic}/status", OFFLINE, qos=1, retain=True)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            try:
                client.tls_set(broker.ca, broker.cert, broker.key)
            except (OSError, ValueError) as error:
                files = " ".join(name for name in (broker.ca, broker.cert, broker.key) if name)
                raise OutputError(f"the certificates {files} for {broker.name} cannot be used: {error}") from error
        lost, answered = threading.Event(), threading.Event()
        self._lost, self._answered, self._refusal = lost, answered, ""

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                secrets = "; set EDGEVIT_MQTT_USER and EDGEVIT_MQTT_PASSWORD or EDGEVIT_MQTT_PASSWORD_FILE"
                denied = str(reason) in ("Not authorized", "Bad user name or password")
                self._refusal = f"the broker refuses: {reason}{secrets if denied else ''}"
            answered.set()

        client.on_connect = on_connect
        client.on_disconnect = lambda *_: lost.set()
        return client

    def _publish(self, messages: Sequence[tuple[str, bytes | str, bool]]) -> None:
        """Publish (topic, payload, retain) and wait until the broker has confirmed all."""
        waiting = [self._client.publish(topic, payload, 1, retain) for topic, payload, retain in messages]
        until_s = time.monotonic() + PATIENCE_S
        for number, info in enumerate(waiting):
            try:
                while not info.is_published():
                    info.wait_for_publish(0.2)
                    if self._lost.is_set() and not info.is_published():
                        raise DeliveryError("the connection was lost", number)
                    if self._aborted or time.monotonic() > until_s:
                        self._lost.set()
                        why = "told to end" if self._aborted else f"no confirmation within {PATIENCE_S:.0f} s"
                        raise DeliveryError(why, number)
            except (ValueError, RuntimeError) as error:
                self._lost.set()
                raise DeliveryError(str(error), number) from error
            until_s = time.monotonic() + PATIENCE_S

    def _drop(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None
