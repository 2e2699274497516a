"""Boards by what a broker keeps of them: which model each runs, since when, and whether anybody has heard of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgevit.errors import BrokerError
from edgevit.fleet.kept import LARGEST_BYTES, KeptMessages
from edgevit.runtime.board.status import MESSAGE_S, BoardStatus, unix_time
from edgevit.runtime.delivery.board_topics import BOARD, OFFLINE, STATUS
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.update.state import UpdateState
from edgevit.schema import FieldError, read_json, read_value

SILENT_S = 3 * MESSAGE_S
"""A board of which nothing was heard for so long is silent."""
UNHEARD_S = 7 * 86400.0
"""A board that has heard nothing of its site for longer stands out: perhaps its timer was never started."""
READ = (BOARD, STATUS, "source")
"""Last levels of the topics that are read of each board."""


@dataclass(frozen=True)
class Board:
    """One board, as the broker knows it."""

    topic: str
    """The topic that it publishes below."""
    status: BoardStatus
    """What it said last."""
    offline: bool = False
    """Whether it has said good-bye, or the broker has noticed that it is gone."""
    source_lost: bool = False
    """Whether its camera gives no pictures."""

    @property
    def digest(self) -> str:
        """The first letters of the digest of what it runs."""
        return self.status.sha256[:8]

    @property
    def version(self) -> str:
        """Number and digest of the model that answers, "12 c4e4961e"; the digest alone of one without a number."""
        installed = None if self.update is None else self.update.installed
        if installed is None or installed.sha256 != self.status.sha256:
            return self.digest
        return f"{installed.version} {self.digest}"

    @property
    def update(self) -> UpdateState | None:
        """What its updater said last; None where there is none, or one of another edgevit."""
        if self.status.update is None:
            return None
        try:
            state = read_value(UpdateState, self.status.update, "update")
        except FieldError:
            return None
        assert isinstance(state, UpdateState)
        return state

    @property
    def unheard_s(self) -> float | None:
        """How long, by its own clock, the site that it follows has not answered; None up to UNHEARD_S."""
        try:
            checked = None if self.update is None or self.update.checked is None else unix_time(self.update.checked)
        except ValueError:
            return None
        lag_s = 0.0 if checked is None else unix_time(self.status.time) - checked
        return lag_s if lag_s > UNHEARD_S else None

    def age_s(self, now_s: float) -> float:
        """Return how long ago it said so, in seconds, by two clocks: never less than 0."""
        return max(0.0, now_s - unix_time(self.status.time))

    def is_silent(self, now_s: float) -> bool:
        return self.offline or self.age_s(now_s) > SILENT_S

    def to_plain_dict(self, now_s: float) -> dict[str, Any]:
        """Return plain values: the status as the board sent it, and what the broker adds."""
        own = {"topic": self.topic, "offline": self.offline, "silent": self.is_silent(now_s)}
        own |= {"age_s": round(self.age_s(now_s), 1), "source_lost": self.source_lost}
        return own | dataclasses.asdict(self.status)


def read_boards(broker: Broker) -> tuple[list[Board], list[str]]:
    """Return the boards below the broker's topic, by their topics, and what is wrong with others.

    Raises:
        BrokerError: it cannot be reached, refuses, or knows of no board there.
        EdgevitError: see KeptMessages.
    """
    with KeptMessages(broker) as kept:
        found = kept.read([f"{broker.topic}/#"], lambda topic: topic.rpartition("/")[2] in READ)
    boards, troubles = boards_from(found)
    if not boards and not troubles:
        raise BrokerError(
            f"{broker.name} keeps no board's status; boards publish theirs with --to mqtt://{broker.host}/TOPIC"
        )
    return boards, troubles


def boards_from(kept: Mapping[str, bytes]) -> tuple[list[Board], list[str]]:
    """Return the boards that messages tell of, by topic, and a line for each message that is no status."""
    boards, troubles = list[Board](), list[str]()
    for topic in sorted(kept):
        base, _, last = topic.rpartition("/")
        if last != BOARD:
            continue
        if len(kept[topic]) > LARGEST_BYTES:
            troubles.append(f"{topic} holds no status of a board: it has more than {LARGEST_BYTES:,} bytes")
            continue
        try:
            status = BoardStatus.from_json(kept[topic].decode())
        except ValueError as error:
            troubles.append(f"{topic} holds no status of a board: {error}")
            continue
        offline = kept.get(f"{base}/{STATUS}") == OFFLINE.encode()
        boards.append(Board(base, status, offline, _is_lost(kept.get(f"{base}/source", b""))))
    return boards, troubles


def _is_lost(message: bytes) -> bool:
    try:
        event = read_json(message.decode())
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("event") == "source_lost"
