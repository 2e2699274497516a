"""Boards that are gone: a broker keeps their last words until somebody has it forget them."""

import dataclasses
import re

from edgevit.errors import BrokerError
from edgevit.fleet.kept import KeptMessages
from edgevit.runtime.delivery.board_topics import BOARD, CHECK, ONLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import STATES, node_id, subscription

DISCOVERY = "homeassistant"
"""Where Home Assistant listens unless it was told otherwise."""


def forget_board(broker: Broker) -> list[str]:
    """Have a broker forget all that it keeps of the board that publishes below its topic; return the topics.

    What Home Assistant was told of the board goes too. Other messages below the topic stay.

    Raises:
        BrokerError: the board is online, there is none, or the topic is that of several; or see KeptMessages.
        EdgevitError: see KeptMessages.
    """
    base, announced = broker.topic, broker if broker.discovery else dataclasses.replace(broker, discovery=DISCOVERY)
    own = re.compile(
        rf"{re.escape(base)}/({BOARD}|{STATUS}|{CHECK}|([^/]+/)?({'|'.join(STATES)}))"
        rf"|{re.escape(str(announced.discovery))}/[^/]+/{node_id(broker)}/[^/]+/config"
    )
    with KeptMessages(broker) as kept:
        found = kept.read([f"{base}/#", subscription(announced)])
        others = [topic for topic in found if topic.startswith(f"{base}/") and topic.endswith(f"/{BOARD}")]
        if others not in ([], [f"{base}/{BOARD}"]):
            names = ", ".join(topic.removesuffix(f"/{BOARD}") for topic in others[:3])
            raise BrokerError(f"{base} is the topic of several boards, such as {names}; name one of them")
        if found.get(f"{base}/{STATUS}") == ONLINE.encode():
            raise BrokerError(f"{base} is online; stop its service first: it would only tell of itself again")
        if not others and f"{base}/{STATUS}" not in found:
            raise BrokerError(f"{broker.name} keeps nothing of a board there; `edgevit fleet list` names boards")
        topics = [topic for topic in found if own.fullmatch(topic)]
        # the status last: a board that was forgotten in part is still listed
        topics.sort(key=lambda topic: (topic == f"{base}/{BOARD}", topic))
        kept.forget(topics)
    return topics
