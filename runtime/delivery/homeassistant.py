"""What Home Assistant is told so that it shows a board by itself: its MQTT discovery messages.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence

from edgevit import __version__

CHANNELS = {"source_lost": "source", "source_back": "source"}
"""Kinds of events that share a topic, as together they are one state; every other kind has its own."""
STATES = ("label", "too_dark", "too_bright", "blurred", "frozen", "source")
"""Topics below the base whose last message is kept by the broker (retained): what is true until the next."""
ONLINE, OFFLINE = "online", "offline"
PROBLEMS = {"too_dark": "Too dark", "too_bright": "Too bright", "blurred": "Blurred", "frozen": "Frozen"}


def state_topic(base: str, channel: str) -> tuple[str, bool]:
    """Return the topic of a channel ("label", or "left/label" for a region), and whether its message is a state."""
    roi, slash, kind = channel.rpartition("/")
    name = CHANNELS.get(kind, kind)
    return f"{base}/{topic_part(roi) + slash}{name}", name in STATES


def topic_part(text: str) -> str:
    """Return text as one level of a topic: without what has a meaning there."""
    return re.sub(r"[/+#\s\x00-\x1f]", "_", text.encode("utf-8", "replace").decode())


def discovery(prefix: str, base: str, name: str, rois: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield (topic, payload) of the messages that announce a board.

    Args:
        prefix: where Home Assistant listens, "homeassistant" unless changed there.
        base: topic below which the board publishes.
        name: of the device, to people.
        rois: regions of the picture, each a sensor of its own; none for the whole picture.
    """
    node = f"edgevit_{hashlib.sha256(base.encode()).hexdigest()[:12]}"
    device = {"identifiers": [node], "name": name, "manufacturer": "edgevit", "sw_version": __version__}
    common = {
        "availability_topic": f"{base}/status",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": device,
        "origin": {"name": "edgevit", "sw_version": __version__},
    }

    def message(component: str, key: str, channel: str, **specific: str) -> tuple[str, str]:
        topic = state_topic(base, channel)[0]
        config = {"unique_id": f"{node}_{key}", "state_topic": topic, "json_attributes_topic": topic}
        return f"{prefix}/{component}/{node}/{key}/config", json.dumps({**config, **specific, **common})

    for roi in rois or ("",):
        key = re.sub(r"\W", "_", f"label_{roi}" if roi else "label", flags=re.ASCII)
        channel, shown = (f"{roi}/label", roi) if roi else ("label", "Label")
        yield message("sensor", key, channel, name=shown, value_template="{{ value_json.label }}")
    for kind, shown in PROBLEMS.items():
        on_or_off = "{{ 'ON' if value_json.active else 'OFF' }}"
        specific = {"device_class": "problem", "entity_category": "diagnostic"}
        yield message("binary_sensor", kind, kind, name=shown, value_template=on_or_off, **specific)
    connected = "{{ 'OFF' if value_json.event == 'source_lost' else 'ON' }}"
    specific = {"device_class": "connectivity", "entity_category": "diagnostic"}
    yield message("binary_sensor", "source", "source", name="Camera", value_template=connected, **specific)
