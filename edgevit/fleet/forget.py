"""Boards that are gone: a broker keeps their last words until somebody has it forget them."""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping

from edgevit.errors import BrokerError
from edgevit.fleet.boards import boards_from
from edgevit.fleet.kept import KeptMessages
from edgevit.runtime.board.status import MESSAGE_S
from edgevit.runtime.delivery.board_topics import BOARD, CHECK, ONLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import STATES, node_id, subscription

DISCOVERY = "homeassistant"
"""Where Home Assistant listens unless it was told otherwise."""
LISTEN_S = 1.5 * MESSAGE_S
"""A board that is there says something within this time, whatever its clock."""


def forget_board(
    broker: Broker, tell: Callable[[str], None] = lambda line: None, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Have a broker forget all that it keeps of the board that publishes below its topic; return the topics.

    What Home Assistant was told of the board goes too. Other messages below the topic stay.

    Args:
        broker: where the board publishes.
        tell: takes a line about what is waited for.
        sleep: waits so many seconds.

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
        if found.get(f"{base}/{STATUS}") == ONLINE.encode() and not _is_gone(base, found, kept, tell, sleep):
            raise BrokerError(f"{base} is online; stop its service first: it would only tell of itself again")
        if not others and f"{base}/{STATUS}" not in found:
            raise BrokerError(f"{broker.name} keeps nothing of a board there; `edgevit fleet list` names boards")
        topics = [topic for topic in found if own.fullmatch(topic)]
        # the status last: a board that was forgotten in part is still listed
        topics.sort(key=lambda topic: (topic == f"{base}/{BOARD}", topic))
        kept.forget(topics)
    return topics


def _is_gone(
    base: str,
    found: Mapping[str, bytes],
    kept: KeptMessages,
    tell: Callable[[str], None],
    sleep: Callable[[float], None],
) -> bool:
    """Tell whether a board whose last word is "online" is gone: a broker that had a power cut never noticed."""
    known = found.get(f"{base}/{BOARD}")
    boards, _ = boards_from({topic: message for topic, message in found.items() if topic == f"{base}/{BOARD}"})
    if not boards or not boards[0].is_silent(time.time()):
        return False
    # its clock may be wrong
    tell(f"{base} is said to be online, and is silent; listening for {LISTEN_S:.0f} s whether it says something")
    sleep(LISTEN_S)
    return kept.read([f"{base}/#"]).get(f"{base}/{BOARD}") == known
