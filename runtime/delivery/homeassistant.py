"""What Home Assistant is told so that it shows a board by itself: its MQTT discovery messages.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgevit import __version__
from edgevit.errors import OptionError
from edgevit.runtime.delivery.board_topics import BOARD, OFFLINE, ONLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.update_entity import update_entity
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import UNKNOWN
from edgevit.runtime.moment import Moment
from edgevit.schema import read_json

CHANNELS = {"source_lost": "source", "source_back": "source"}
"""Kinds of events that share a topic, as together they are one state; every other kind has its own."""
STATES = ("label", "counts", "lines", "too_dark", "too_bright", "blurred", "frozen", "source")
"""Topics below the base whose last message is kept by the broker (retained): what is true until the next."""
SHOWN_CLASSES = 20
"""A model with more classes has sensors that are switched off, but for those that rules are about."""
PROBLEMS = {"too_dark": "Too dark", "too_bright": "Too bright", "blurred": "Blurred", "frozen": "Frozen"}


def state_topic(base: str, channel: str) -> tuple[str, bool]:
    """Return the topic of a channel ("label", or "left/label" for a region), and whether its message is a state."""
    roi, slash, kind = channel.rpartition("/")
    name = CHANNELS.get(kind, kind)
    return f"{base}/{topic_part(roi) + slash}{name}", name in STATES


def topic_part(text: str) -> str:
    """Return text as one level of a topic: without what has a meaning there."""
    return re.sub(r"[/+#\s\x00-\x1f]", "_", text.encode("utf-8", "replace").decode())


def check_regions(rois: Sequence[str]) -> None:
    """Raise OptionError if two regions would be one in the topics."""
    topics: dict[str, str] = {}
    for roi in rois:
        other = topics.setdefault(topic_part(roi), roi)
        if other != roi:
            raise OptionError(
                f"the regions {other!r} and {roi!r} would both have the MQTT topic {topic_part(roi)!r}; rename one"
            )


def first_events(
    source: str,
    rois: Sequence[str],
    monotonic_s: float,
    wall_s: float,
    *,
    counted: bool = False,
    crossed: bool = False,
) -> list[Event]:
    """Return an event for each state, as it is before the first picture: what an earlier run left is not true any more.

    Args:
        source: name of the camera or stream.
        rois: regions of the picture, each with a label of its own; none for the whole picture.
        monotonic_s: now.
        wall_s: now, in Unix time.
        counted: objects are counted, in the whole picture and in each region; there is no label.
        crossed: what goes over lines is counted; that begins at 0.
    """
    moment = Moment(source, 0, monotonic_s, wall_s)
    regions = [Moment(source, 0, monotonic_s, wall_s, roi) for roi in rois]
    unknown: dict[str, Any] = {"label": UNKNOWN, "previous": None, "conf": 0.0, "start": True}
    # 0 would be a count
    uncounted: dict[str, Any] = {"counts": {}, "start": True}
    if counted:
        states = [Event("counts", each, uncounted) for each in (moment, *regions)]
    else:
        states = [Event("label", each, unknown) for each in regions or [moment]]
    if crossed:
        states.append(Event("lines", moment, {"lines": {}, "start": True}))
    return [
        *states,
        *(Event(kind, moment, {"active": False, "start": True}) for kind in PROBLEMS),
        Event("source_back", moment, {"start": True}),
    ]


def subscription(broker: Broker) -> str:
    """Return the topics of all that this board ever announced."""
    return f"{broker.discovery}/+/{node_id(broker)}/+/config"


def no_longer_announced(broker: Broker, announced: Mapping[str, str], topic: str, message: bytes) -> list[str]:
    """Return the topics to clear for an announcement that the broker kept: its own, and that of its label or counts.

    Args:
        broker: ours.
        announced: topics and messages of this run.
        topic: of the announcement that was found.
        message: its JSON.
    """
    if topic in announced:
        return []
    try:
        state = read_json(message.decode())["state_topic"]
    except (ValueError, TypeError, KeyError):
        state = None
    used = {json.loads(text)["state_topic"] for text in announced.values()}
    is_ours = isinstance(state, str) and re.fullmatch(
        rf"{re.escape(broker.topic)}/([^/+#]+/)?(label|counts|lines)", state
    )
    return [topic, state] if is_ours and state not in used else [topic]


def node_id(broker: Broker) -> str:
    return f"edgevit_{hashlib.sha256(broker.topic.encode()).hexdigest()[:12]}"


def entity_key(roi: str) -> str:
    """Return what tells a region's entity from all others, in the characters that Home Assistant allows."""
    if not roi:
        return "label"
    if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", roi, re.ASCII):
        return f"label_{roi}"
    digest = hashlib.sha256(roi.encode("utf-8", "replace")).hexdigest()[:12]
    return f"label_{re.sub(r'[^A-Za-z0-9_-]', '_', roi)[:27]}_{digest}"


def count_key(roi: str, label: str) -> str:
    """Return what tells the entity of a class's count from all others, in the characters that Home Assistant allows."""
    if not roi and re.fullmatch(r"[A-Za-z0-9-]{1,40}", label, re.ASCII):
        return f"count_{label}"
    shown = re.sub(r"[^A-Za-z0-9_-]", "_", f"{roi}_{label}" if roi else label)[:27]
    return f"count_{shown}_{hashlib.sha256(json.dumps([roi, label]).encode()).hexdigest()[:12]}"


def line_key(line: str, label: str, way: str) -> str:
    """Return what tells the entity of a line, a class and "in" or "out" from all others, as `count_key`."""
    shown = re.sub(r"[^A-Za-z0-9_-]", "_", f"{line}_{label}_{way}")[:27]
    return f"line_{shown}_{hashlib.sha256(json.dumps([line, label, way]).encode()).hexdigest()[:12]}"


def discovery(
    broker: Broker,
    name: str,
    rois: Sequence[str] = (),
    classes: Sequence[str] = (),
    watched: Sequence[str] = (),
    lines: Sequence[str] = (),
    *,
    board: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield (topic, payload) of the messages that announce a board.

    Args:
        broker: its discovery prefix is where Home Assistant listens; below its topic the board publishes.
        name: of the device, to people.
        rois: regions of the picture, each a sensor of its own; none for the whole picture.
        classes: whose objects are counted, in the whole picture and in each region, in place of a label; each a sensor
            of its own.
        watched: those of them that rules are about.
        lines: over which they are counted, in and out; each a sensor for each class and direction.
        board: its status is published too; then its model is something that can be updated.
    """
    node, base = node_id(broker), broker.topic
    status = {"topic": f"{base}/{STATUS}", "payload_available": ONLINE, "payload_not_available": OFFLINE}
    camera = {
        "topic": state_topic(base, "source_lost")[0],
        "value_template": f"{{{{ '{OFFLINE}' if value_json.event == 'source_lost' else '{ONLINE}' }}}}",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
    }
    common = {
        "availability_mode": "all",
        "device": {"identifiers": [node], "name": name, "manufacturer": "edgevit", "sw_version": __version__},
        "origin": {"name": "edgevit", "sw_version": __version__},
    }

    def message(component: str, key: str, channel: str, **specific: Any) -> tuple[str, str]:
        topic = state_topic(base, channel)[0]
        config: dict[str, Any] = {"unique_id": f"{node}_{key}", "state_topic": topic, "json_attributes_topic": topic}
        config |= {"availability": [status], **specific, **common}
        return f"{broker.discovery}/{component}/{node}/{key}/config", json.dumps(config)

    # a label is not known while the camera is lost; where nothing is kept, nobody could tell that it is there
    seen = {"availability": [status, camera]} if broker.retain else {}
    expires = {} if broker.expire_after_s is None else {"expire_after": broker.expire_after_s}
    few = len(classes) <= SHOWN_CLASSES
    for roi, label in ((roi, label) for roi in ("", *rois) for label in classes):
        # a name from the command line may hold bytes that are not UTF-8
        label, place = (text.encode("utf-8", "replace").decode() for text in (label, roi))
        # of what is not known yet there is no number, and None means that to Home Assistant
        template = f"{{{{ value_json.counts.get({json.dumps(label, ensure_ascii=False)}) }}}}"
        specific: dict[str, Any] = {"state_class": "measurement", "unit_of_measurement": "objects"}
        specific |= {} if few or label in watched else {"enabled_by_default": False}
        shown = f"{place} {label}" if place else label
        channel = f"{roi}/counts" if roi else "counts"
        yield message(
            "sensor", count_key(roi, label), channel, name=shown, value_template=template, **specific, **seen, **expires
        )
    for line, label, way in ((line, label, way) for line in lines for label in classes for way in ("in", "out")):
        label, place = (text.encode("utf-8", "replace").decode() for text in (label, line))
        names = [json.dumps(text, ensure_ascii=False) for text in (place, label, way)]
        template = "{{{{ value_json.lines.get({}, {{}}).get({}, {{}}).get({}, 0) }}}}".format(*names)
        specific = {"state_class": "total_increasing", "unit_of_measurement": "objects", "value_template": template}
        specific |= {} if few or label in watched else {"enabled_by_default": False}
        yield message("sensor", line_key(line, label, way), "lines", name=f"{place} {label} {way}", **specific)
    for roi in () if classes else rois or ("",):
        channel, shown = (f"{roi}/label", roi) if roi else ("label", "Label")
        # a name from the command line may hold bytes that are not UTF-8
        shown = shown.encode("utf-8", "replace").decode()
        template = "{{ value_json.label }}"
        yield message("sensor", entity_key(roi), channel, name=shown, value_template=template, **seen, **expires)
    if board:
        yield message("update", "model", BOARD, **update_entity(broker))
    for kind, shown in PROBLEMS.items():
        on_or_off = "{{ 'ON' if value_json.active else 'OFF' }}"
        specific = {"device_class": "problem", "entity_category": "diagnostic"}
        yield message("binary_sensor", kind, kind, name=shown, value_template=on_or_off, **specific)
    connected = "{{ 'OFF' if value_json.event == 'source_lost' else 'ON' }}"
    specific = {"device_class": "connectivity", "entity_category": "diagnostic"}
    yield message("binary_sensor", "source", "source", name="Camera", value_template=connected, **specific)
