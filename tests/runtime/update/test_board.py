"""What a board remembers between checks: models that did not work, and the one on trial."""

import types
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.update.board import Board, Patience, Trial, locked
from edgevit.runtime.update.state import Release, UpdateState, read_state, write_state
from tests.made_update_board import make_board

OLD, NEW = Release(4, "a" * 64), Release(5, "b" * 64)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def board(tmp_path: Path, told: list[str]) -> Board:
    made = make_board(tmp_path, "https://example.org/farm", "{}")
    (made.into / "update").mkdir()
    return Board(made.enrollment, made.service, told.append, lambda step: None)


def test_last_fifty_bad_models_are_remembered_with_why(board: Board) -> None:
    for number in range(51):
        board.remember_bad(f"{number:064}", f"why {number}")
    assert board.bad(f"{0:064}") is None
    assert [board.bad(f"{number:064}") for number in (1, 50)] == ["why 1", "why 50"]
    # one that was bad again is the newest, and once there
    board.remember_bad(f"{1:064}", "why not")
    board.remember_bad(f"{51:064}", "why 51")
    assert [board.bad(f"{number:064}") for number in (1, 2, 3)] == ["why not", None, "why 3"]
    board.forget_bad(f"{1:064}")
    assert [board.bad(f"{number:064}") for number in (1, 3)] == [None, "why 3"]


@pytest.mark.parametrize("verdict", [None, "no results"])
@pytest.mark.parametrize("old", [None, OLD])
def test_trial_is_read_as_it_was_written(board: Board, old: Release | None, verdict: str | None) -> None:
    trial = Trial(NEW, old, gave_results=True, verdict=verdict)
    board.write_trial(trial)
    assert board.trial() == trial
    board.write_trial(None)
    assert board.trial() is None
    # as after a kill between the end of a trial and the next step
    board.write_trial(None)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_damaged_records_are_none(board: Board, text: str) -> None:
    for name in ("trial.json", "bad.json"):
        (board.folder / name).write_text(text, "latin-1")
    assert board.trial() is None
    assert board.bad("a" * 64) is None
    board.remember_bad("a" * 64, "why")
    assert board.bad("a" * 64) == "why"


def test_model_is_on_trial_as_long_as_its_file_lies_there(board: Board) -> None:
    # the SHA-256 of "abc", the example of FIPS 180-2
    abc = Release(5, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    board.slots.model.write_bytes(b"abc")
    assert not board.is_on_trial()
    board.write_trial(Trial(abc, OLD, gave_results=False))
    assert board.is_on_trial()
    board.slots.model.write_bytes(b"abcd")
    assert not board.is_on_trial()


def test_state_of_another_target_is_not_taken_over(tmp_path: Path, board: Board) -> None:
    for target, expected in (("stable/farm.onnx", "confirmed"), ("canary/farm.onnx", "waiting")):
        state = UpdateState(target, target.partition("/")[0], "confirmed", OLD)
        write_state(board.enrollment.into, state)
        again = Board(board.enrollment, board.service, board.tell, board.reached)
        assert (again.state.target, again.state.state) == ("stable/farm.onnx", expected)
        assert again.state.installed == (OLD if expected == "confirmed" else None)


def test_news_is_written_and_told_and_the_time_of_a_check_is_written_alone(board: Board, told: list[str]) -> None:
    board.saw(NEW, "2026-11-30T02:00:00.000Z")
    board.note("waiting")
    assert told == ["stable/farm.onnx 5 bbbbbbbb: waiting"]
    board.note("failed", error="no disk")
    assert told[1:] == ["stable/farm.onnx 5 bbbbbbbb: failed: no disk"]
    board.saw(NEW, "2026-11-30T03:00:00.000Z")
    board.note("failed", error="no disk")
    assert len(told) == 2
    written = read_state(board.enrollment.into)
    assert written is not None
    assert (written.checked, written.error) == ("2026-11-30T03:00:00.000Z", "no disk")
    # nothing new is no reason to write to the card
    (board.enrollment.into / "state.json").unlink()
    board.note("failed", error="no disk")
    assert read_state(board.enrollment.into) is None


def test_error_that_a_server_had_a_hand_in_is_one_short_line(board: Board, told: list[str]) -> None:
    """Each message of the board has it, and a broker's listener passes over what is too large."""
    board.note("failed", error="it says \x1b[31m\n" + "x" * 60_000)
    written = read_state(board.enrollment.into)
    assert written is not None
    assert written.error == "it says  [31m " + "x" * 486
    assert told == [f"stable/farm.onnx: failed: {written.error}"]


@pytest.mark.parametrize(("limit_s", "looks"), [(6.0, 4), (5.9, 4), (6.1, 5)])
def test_waiting_looks_now_and_then_and_once_more_at_the_end(
    board: Board, monkeypatch: pytest.MonkeyPatch, limit_s: float, looks: int
) -> None:
    now, seen = [100.0], list[float]()

    def sleep(pause_s: float) -> None:
        now[0] += pause_s

    clock = types.SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr("edgevit.runtime.update.board.time", clock)
    board.patience = Patience(look_s=2.0)
    assert not board.wait(limit_s, lambda: bool(seen.append(now[0])))  # type: ignore[func-returns-value]
    assert seen == [100.0 + 2 * look for look in range(looks)]
    assert board.wait(limit_s, lambda: now[0] >= seen[-1] + 4)
    assert now[0] == seen[-1] + 4


def test_lock_is_for_one_and_free_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "update"
    with locked(folder), pytest.raises(UpdateError, match="another check is running"), locked(folder):
        pass
    assert folder.stat().st_mode & 0o777 == 0o700
    with locked(folder):
        pass
