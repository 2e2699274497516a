"""The updater's state file: whole, readable by the service, and never in its way."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from edgevit.runtime.update.state import Release, UpdateState, read_state, write_state

STATE = UpdateState(
    target="canary/farm.onnx",
    channel="canary",
    state="rolled back",
    installed=Release(11, "a" * 64),
    latest=Release(12, "b" * 64),
    error="no results within 300 s",
    checked="2026-11-30T02:00:00.000Z",
)


def test_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE


def test_state_file_has_the_names_that_the_status_message_promises(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert json.loads((tmp_path / "state.json").read_text()) == {
        "target": "canary/farm.onnx",
        "channel": "canary",
        "state": "rolled back",
        "installed": {"version": 11, "sha256": "a" * 64},
        "latest": {"version": 12, "sha256": "b" * 64},
        "error": "no results within 300 s",
        "checked": "2026-11-30T02:00:00.000Z",
    }


def test_service_of_another_user_may_read_the_state(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        write_state(tmp_path, STATE)
    finally:
        os.umask(umask)
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"target": "stable/farm.onnx"}', '{"state": "unheard of"}', "\xff"])
def test_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text, "latin-1")
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "nowhere") is None


@pytest.mark.parametrize(("length", "is_read"), [(99_000, True), (100_000, False)])
def test_no_more_of_a_state_is_read_than_a_board_has_room_for(tmp_path: Path, length: int, is_read: bool) -> None:
    write_state(tmp_path, dataclasses.replace(STATE, error="x" * length))
    assert (read_state(tmp_path) is not None) == is_read
