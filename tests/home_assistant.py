"""What Home Assistant takes: the keys of its MQTT announcements, written down from its documentation.

An unknown key of the device, the origin or an availability drops the whole announcement there, and so does an unknown
key of an update's state; other unknown keys are left out, which would be a setting that does nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import jinja2

DEVICE = {"identifiers", "connections", "manufacturer", "model", "name", "hw_version", "sw_version", "via_device"}
ORIGIN = {"name", "sw_version", "support_url"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
COMMON = {
    *("unique_id", "name", "device", "origin", "availability", "availability_mode", "availability_topic"),
    *("state_topic", "value_template", "json_attributes_topic", "entity_category", "enabled_by_default"),
}
COMPONENTS = {
    "sensor": {*COMMON, "device_class", "state_class", "unit_of_measurement", "expire_after"},
    "binary_sensor": {*COMMON, "device_class", "payload_on", "payload_off", "expire_after"},
    "update": {
        *(*COMMON, "title", "device_class", "release_summary", "release_url"),
        *("latest_version_topic", "latest_version_template", "command_topic", "payload_install"),
    },
}
UPDATE_STATE = {
    "installed_version": str,
    "latest_version": str,
    "title": str,
    "release_summary": str,
    "release_url": str,
    "in_progress": bool,
    "update_percentage": int,
}
"""Keys of an update's state to the types of their values."""


def check_announcement(topic: str, text: str) -> dict[str, Any]:
    """Return an announcement that Home Assistant takes whole; AssertionError for any other."""
    _, component, _, key, last = topic.split("/")
    config: dict[str, Any] = json.loads(text)
    assert last == "config"
    assert set(config) <= COMPONENTS[component], set(config) - COMPONENTS[component]
    assert set(config["device"]) <= DEVICE
    assert config["device"]["identifiers"]
    assert set(config["origin"]) <= ORIGIN
    assert all(set(each) <= AVAILABILITY and each["topic"] for each in config["availability"])
    assert config["unique_id"].endswith(key)
    assert config["availability_mode"] in ("all", "any", "latest")
    return config


def rendered(template: str, payload: str) -> str:
    """Return what a template makes of a message."""
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    environment.filters["to_json"] = json.dumps
    return environment.from_string(template).render(value_json=json.loads(payload))


def update_state(config: Mapping[str, Any], payload: str) -> dict[str, Any]:
    """Return the state that an update entity has by a message; AssertionError if it would be dropped."""
    state: dict[str, Any] = json.loads(rendered(config["value_template"], payload))
    for key, value in state.items():
        assert isinstance(value, UPDATE_STATE[key]), key
    return state
