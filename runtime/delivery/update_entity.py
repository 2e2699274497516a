"""A board's model as Home Assistant's update entity, made of the status that the board publishes.

https://www.home-assistant.io/integrations/update.mqtt/
"""

from typing import Any

from edgevit.runtime.delivery.board_topics import CHECK, INSTALL
from edgevit.runtime.delivery.broker import Broker

# an object's .update would be Python's method; versions that are told as "12 c4e4961e" are compared for being equal,
# while digits alone would be taken for numbers
_TEMPLATE = """\
{%- set update = value_json['update'] or {} -%}
{%- set digest = value_json.sha256[:8] -%}
{%- set known = update.installed and update.installed.sha256 == value_json.sha256 -%}
{%- set installed = update.installed.version ~ ' ' ~ digest if known else digest -%}
{%- set latest = update.latest.version ~ ' ' ~ update.latest.sha256[:8] if update.latest else installed -%}
{%- set busy = update.state in ('downloading', 'testing', 'installed') -%}
{%- set news = update.error or value_json.reload_error or '' -%}
{{ {'installed_version': installed, 'latest_version': latest, 'title': value_json.model.split('/')[-1],
'release_summary': news[:255], 'in_progress': busy} | to_json }}"""


def update_entity(broker: Broker) -> dict[str, Any]:
    """Return what the announcement of a board's model holds, beside what all announcements do.

    Its button is there only where the board listens; all that it can do is to have the board look by itself.
    """
    button = {"command_topic": f"{broker.topic}/{CHECK}", "payload_install": INSTALL} if broker.check else {}
    return {
        "name": "Model",
        "value_template": _TEMPLATE,
        "device_class": "firmware",
        "entity_category": "diagnostic",
        **button,
    }
