"""What is forgotten of a board, and in which order; test_watch.py asks a real broker where one is."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pytest

from edgevit.errors import BrokerError
from edgevit.fleet import boards as boards_module
from edgevit.fleet import forget as forget_module
from edgevit.fleet.boards import read_boards
from edgevit.fleet.forget import forget_board
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import subscription
from tests.made_status import STATUS

BROKER = Broker("yard.local", 1884, "farm/pen3")
NAME = "mqtt://yard.local:1884/farm/pen3"


class MadeKept:
    """A broker that keeps messages until it is to forget them."""

    def __init__(self, **messages: bytes) -> None:
        self.kept = {topic.replace("__", "/"): payload for topic, payload in messages.items()}
        self.asked: list[str] = []
        self.forgotten: list[str] = []

    @contextlib.contextmanager
    def __call__(self, broker: Broker) -> Iterator["MadeKept"]:
        yield self

    def read(self, topics: Sequence[str], wanted: Callable[[str], bool] = lambda topic: True) -> dict[str, bytes]:
        self.asked += topics
        self.wanted = wanted
        return {topic: payload for topic, payload in self.kept.items() if wanted(topic)}

    def forget(self, topics: Sequence[str]) -> None:
        self.forgotten += topics


def forgetting(monkeypatch: pytest.MonkeyPatch, **messages: bytes) -> tuple[MadeKept, list[str]]:
    """Forget the board; return the broker and the topics that are said to be forgotten."""
    made = MadeKept(**messages)
    monkeypatch.setattr(forget_module, "KeptMessages", made)
    return made, forget_board(BROKER)


def test_status_is_forgotten_last_and_what_is_not_the_boards_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is cut off, the board is still listed, and can be forgotten again."""
    made, told = forgetting(
        monkeypatch,
        farm__pen3__status=b"offline",
        farm__pen3__board=STATUS.to_json().encode(),
        farm__pen3__thermometer=b"21.5",
        farm__pen3__label=b"{}",
        farm__pen3__gate__label=b"{}",
    )
    order = ["farm/pen3/gate/label", "farm/pen3/label", "farm/pen3/status", "farm/pen3/board"]
    assert made.forgotten == told == order
    assert made.asked == ["farm/pen3/#", subscription(dataclasses.replace(BROKER, discovery="homeassistant"))]


def test_what_is_left_of_a_board_without_a_status_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forgetting(monkeypatch, farm__pen3__status=b"offline")[1] == ["farm/pen3/status"]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (
            {"farm__pen3__board": b"{}", "farm__pen3__a__board": b"{}"},
            "farm/pen3 is the topic of several boards, such as farm/pen3, farm/pen3/a; name one of them",
        ),
        ({"farm__pen3__a__board": b"{}"}, "farm/pen3 is the topic of several boards, such as farm/pen3/a; name one"),
        ({"farm__pen3__board": b"{}", "farm__pen3__status": b"online"}, "farm/pen3 is online; stop its service first"),
        ({"farm__pen3__label": b"{}"}, f"{NAME} keeps nothing of a board there; `edgevit fleet list` names boards"),
    ],
)
def test_what_is_no_board_that_is_gone_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, messages: dict[str, bytes], why: str
) -> None:
    made = MadeKept(**messages)
    monkeypatch.setattr(forget_module, "KeptMessages", made)
    with pytest.raises(BrokerError) as caught:
        forget_board(BROKER)
    assert str(caught.value).startswith(why)
    assert made.forgotten == []


@pytest.mark.parametrize("says_something", [False, True])
def test_board_that_the_broker_calls_online_is_forgotten_once_it_was_silent_for_long(
    monkeypatch: pytest.MonkeyPatch, says_something: bool
) -> None:
    """A broker that lost power together with the board never says that it is offline; a clock may be wrong."""
    made = MadeKept(farm__pen3__board=STATUS.to_json().encode(), farm__pen3__status=b"online")
    monkeypatch.setattr(forget_module, "KeptMessages", made)
    told, slept = list[str](), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if says_something:
            made.kept["farm/pen3/board"] = dataclasses.replace(STATUS, results=1).to_json().encode()

    with pytest.raises(BrokerError, match="is online") if says_something else contextlib.nullcontext():
        forget_board(BROKER, told.append, sleep)
    assert made.forgotten == ([] if says_something else ["farm/pen3/status", "farm/pen3/board"])
    assert slept == [90.0]
    assert told == ["farm/pen3 is said to be online, and is silent; listening for 90 s whether it says something"]


def test_broker_without_boards_says_how_they_come_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards_module, "KeptMessages", MadeKept())
    with pytest.raises(BrokerError) as caught:
        read_boards(BROKER)
    advice = "boards publish theirs with --to mqtt://yard.local/TOPIC"
    assert caught.value.command_line_text == f"{NAME} keeps no board's status; {advice}"
    # a message that cannot be read is told of instead
    monkeypatch.setattr(boards_module, "KeptMessages", MadeKept(farm__pen3__board=b"{"))
    boards, troubles = read_boards(BROKER)
    assert (boards, len(troubles)) == ([], 1)


def test_of_each_board_what_it_is_and_whether_it_is_there_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeKept(farm__pen3__a__board=b"{")
    monkeypatch.setattr(boards_module, "KeptMessages", made)
    read_boards(BROKER)
    assert made.asked == ["farm/pen3/#"]
    topics = ["farm/pen3/a/board", "farm/pen3/status", "farm/pen3/a/source", "farm/pen3/board/label", "source/a/x"]
    assert [topic for topic in topics if made.wanted(topic)] == topics[:3]
