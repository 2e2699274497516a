"""A client of paho-mqtt that knows how to log in, for those who publish and for those who read."""

from typing import Any

from edgevit.errors import MissingExtraError, OutputError
from edgevit.runtime.delivery.broker import Broker

CONNECT_S = 10.0
"""How long a broker may take to accept a connection."""
V311, V5 = 4, 5
"""Versions as the protocol numbers them."""
LOGIN_HINT = "; set EDGEVIT_MQTT_USER and EDGEVIT_MQTT_PASSWORD or EDGEVIT_MQTT_PASSWORD_FILE"


def new_client(broker: Broker, identity: str, version: int) -> Any:
    """Return a client of paho-mqtt that knows how to log in, and connects once.

    Raises:
        MissingExtraError: paho-mqtt is not installed.
        OutputError: a certificate cannot be read.
    """
    try:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    except ModuleNotFoundError as error:
        raise MissingExtraError("paho-mqtt", "talking to an MQTT broker", "mqtt") from error
    client: Any = paho.Client(
        CallbackAPIVersion.VERSION2, identity, protocol=MQTTProtocolVersion(version), reconnect_on_failure=False
    )
    client.connect_timeout = CONNECT_S
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        try:
            client.tls_set(broker.ca, broker.cert, broker.key)
        except (OSError, ValueError) as error:
            files = " ".join(name for name in (broker.ca, broker.cert, broker.key) if name)
            raise OutputError(f"the certificates {files} for {broker.name} cannot be used: {error}") from error
    return client
