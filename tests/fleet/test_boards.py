"""Boards by what a broker keeps: which are silent, what each runs, and what a damaged message does to the others."""

import dataclasses
import time
from typing import Any

import pytest

from edgevit.cli.fleet_watch import HEADER, row, seen_text, summary, update_text
from edgevit.fleet.boards import Board, boards_from
from edgevit.runtime.board.status import unix_time
from tests.made_status import FOLLOWED, NEWER, STATUS

BUSY = dataclasses.replace(STATUS, frames_per_second=1.92, temperature_c=61.5, backlog=7)
NOW_S = unix_time(STATUS.time)


def board(**changes: Any) -> Board:
    own = {name: changes.pop(name) for name in ("offline", "source_lost") if name in changes}
    return Board("farm/pen3", dataclasses.replace(BUSY, **changes), **own)


def followed(**changes: Any) -> Board:
    return board(update=FOLLOWED | changes)


def test_row_tells_what_a_board_runs() -> None:
    cells = dict(zip(HEADER, row(followed(), NOW_S + 12.3), strict=True))
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_time(STATUS.since)))
    assert cells == {
        "BOARD": "farm/pen3",
        "HOST": "pen3",
        "MODEL": "farm.onnx",
        "VERSION": "12 c4e4961e",
        "SINCE": since,
        "FPS": "1.92",
        "HEAT": "62 °C",
        "WAITING": "7",
        "UPDATE": "waiting",
        "SEEN": "12 s ago",
    }


def test_what_a_board_does_not_know_is_a_dash() -> None:
    cells = dict(zip(HEADER, row(board(temperature_c=None, backlog=None), NOW_S), strict=True))
    assert [cells[name] for name in ("VERSION", "HEAT", "WAITING", "UPDATE")] == ["c4e4961e", "-", "-", "-"]


def test_version_is_that_of_what_answers_not_of_what_lies_on_the_disk() -> None:
    assert followed(installed={"version": 13, "sha256": NEWER}).version == "c4e4961e"


def test_throttled_board_stands_out() -> None:
    assert row(board(throttled=True), NOW_S)[HEADER.index("HEAT")] == "62 °C throttled"
    assert row(board(throttled=False), NOW_S)[HEADER.index("HEAT")] == "62 °C"


@pytest.mark.parametrize(
    ("state", "error", "reload_error", "expected"),
    [
        ("current", None, None, "current"),
        ("failed", "its self-test failed", "the old model stays", "failed: its self-test failed"),
        ("testing", None, "the old model stays: damaged", "testing: the old model stays: damaged"),
    ],
)
def test_update_is_told_with_its_error(state: str, error: str | None, reload_error: str | None, expected: str) -> None:
    found = dataclasses.replace(followed().status, update=FOLLOWED | {"state": state, "error": error})
    assert update_text(Board("farm", dataclasses.replace(found, reload_error=reload_error))) == expected


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        ("2026-11-13T13:59:59Z", "current; no answer of the site for 7 d"),
        ("2026-11-13T14:00:00Z", "current"),
        # by a clock that was ahead
        ("2027-11-13T14:00:00Z", "current"),
        ("soon", "current"),
        (None, "current"),
    ],
)
def test_updater_that_asks_nobody_is_told(checked: str | None, expected: str) -> None:
    """Its timer was never started, or taken away: what it said last stays there."""
    assert update_text(followed(state="current", checked=checked)) == expected


def test_failed_reload_is_told_without_an_updater_and_one_of_another_edgevit_is_none() -> None:
    assert update_text(board(reload_error="the old model stays: damaged")) == "the old model stays: damaged"
    assert update_text(followed(state="dreaming")) == "-"


@pytest.mark.parametrize(
    ("seconds", "changes", "expected"),
    [
        (0, {}, "0 s ago"),
        (59, {}, "59 s ago"),
        (180, {}, "3 min ago"),
        (181, {}, "silent, 3 min ago"),
        (7300, {}, "silent, 2 h ago"),
        (3 * 86400, {"offline": True}, "offline, 3 d ago"),
        (5, {"source_lost": True}, "camera lost, 5 s ago"),
        # its clock is ahead of ours
        (-300, {}, "0 s ago"),
    ],
)
def test_board_is_silent_after_three_minutes(seconds: float, changes: dict[str, Any], expected: str) -> None:
    assert seen_text(board(**changes), NOW_S + seconds) == expected


def test_summary_counts_models_and_those_that_are_not_heard_of() -> None:
    same, other = board(), board(sha256=NEWER, offline=True)
    assert summary([same], NOW_S) == "1 board, 0 silent or offline, all run the same model"
    assert summary([same, same, other], NOW_S) == "3 boards, 1 silent or offline, 2 different models"


def test_boards_are_found_at_any_depth_with_what_the_broker_adds() -> None:
    text = STATUS.to_json().encode()
    boards, troubles = boards_from(
        {
            "farm/yard/gate/board": text,
            "farm/yard/gate/status": b"offline",
            "farm/board": text,
            "farm/status": b"online",
            "farm/source": b'{"event":"source_lost","reason":"no picture"}',
            "farm/yard/gate/source": b'{"event":"source_back"}',
            "farm/oven/status": b"offline",
        }
    )
    assert troubles == []
    assert [(each.topic, each.offline, each.source_lost) for each in boards] == [
        ("farm", False, True),
        ("farm/yard/gate", True, False),
    ]
    assert boards[0].status == STATUS


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[]", STATUS.to_json().replace("2026", "1926").encode()])
def test_message_that_is_no_status_is_named_and_hides_no_other_board(message: bytes) -> None:
    boards, troubles = boards_from({"farm/a/board": message, "farm/b/board": STATUS.to_json().encode()})
    assert [each.topic for each in boards] == ["farm/b"]
    (trouble,) = troubles
    assert trouble.startswith("farm/a/board holds no status of a board: ")


def test_message_that_is_too_large_for_a_status_is_named() -> None:
    large = dataclasses.replace(STATUS, update=FOLLOWED | {"error": "x" * 64_000}).to_json().encode()
    boards, troubles = boards_from({"farm/a/board": large, "farm/b/board": STATUS.to_json().encode()})
    assert [each.topic for each in boards] == ["farm/b"]
    assert troubles == ["farm/a/board holds no status of a board: it has more than 64,000 bytes"]


def test_plain_values_are_the_status_and_what_the_broker_adds() -> None:
    found = board(offline=True).to_plain_dict(NOW_S + 1.26)
    assert {name: found[name] for name in ("topic", "offline", "silent", "age_s", "source_lost")} == {
        "topic": "farm/pen3",
        "offline": True,
        "silent": True,
        "age_s": 1.3,
        "source_lost": False,
    }
    assert {name: found[name] for name in dataclasses.asdict(BUSY)} == dataclasses.asdict(BUSY)
