"""The status of a board: whole or not there, and read again as it was written."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from edgevit.errors import OutputError, StatusError
from edgevit.runtime.board.status import BoardStatus, read_status, status_path, write_status

STATUS = BoardStatus(
    host="yard",
    version="0.1.0",
    pid=4711,
    model="/srv/models/farm.onnx",
    sha256="c4e4961e" + "0" * 56,
    since="2026-11-20T13:36:31.250Z",
    time="2026-11-20T14:00:00.000Z",
    results=17,
    failures=2,
    profile="rpi4",
    frames_per_second=1.9,
    temperature_c=61.5,
    throttled=True,
    backlog=3,
    reload_error="the old model stays: damaged",
    update={"state": "waiting", "installed": {"version": 11, "sha256": "ab"}, "error": None},
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, dataclasses.replace(STATUS, results=16))
    write_status(path, STATUS)
    assert read_status(path) == STATUS
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


def test_status_of_a_board_that_knows_little_of_itself_is_read(tmp_path: Path) -> None:
    unknown = {"profile": None, "temperature_c": None, "throttled": None, "backlog": None, "update": None}
    bare = dataclasses.replace(STATUS, reload_error=None, **unknown)  # type: ignore[arg-type]
    write_status(tmp_path / "status.json", bare)
    assert read_status(tmp_path / "status.json") == bare


def test_fields_of_a_later_version_are_left_out() -> None:
    assert BoardStatus.from_json(json.dumps(json.loads(STATUS.to_json()) | {"humidity": 0.6})) == STATUS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is no status of a board"),
        ("[1]", "status is [1], expected an object"),
        (STATUS.to_json()[:40], "is no status of a board"),
        (STATUS.to_json().replace("17", "-1"), "status.results is -1, expected a whole number, 0 or more"),
        (STATUS.to_json().replace('"pid": 4711, ', ""), "status.pid is 'nothing', expected a value"),
    ],
)
def test_file_that_is_no_status_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    with pytest.raises(StatusError) as caught:
        read_status(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_missing_status_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match=r"is the service running, with status="):
        read_status(tmp_path / "status.json")


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory; choose a place"):
        write_status(tmp_path / "none" / "status.json", STATUS)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"the status .*status.json cannot be written: .*; choose a place"):
        write_status(tmp_path / "file" / "status.json", STATUS, make_folder=True)


def test_service_has_one_place_for_its_status() -> None:
    environment = {"XDG_RUNTIME_DIR": "/run/user/1000"}
    assert status_path("edgevit-gate") == Path("/run/edgevit/edgevit-gate/status.json")
    user = status_path("edgevit-gate", user=True, environment=environment)
    assert user == Path("/run/user/1000/edgevit/edgevit-gate/status.json")


def test_pipe_or_endless_file_in_the_place_of_a_status_is_not_read(tmp_path: Path) -> None:
    """The updater reads it as root, out of a folder of the service's own user."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StatusError, match="it is a pipe or a device, not a file"):
        read_status(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(STATUS.to_json().encode() + b" " * 1_100_000)
    with pytest.raises(StatusError, match="it has more than 1048576 bytes"):
        read_status(tmp_path / "long")


def test_process_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="status.pid is -1, expected a whole number, 1 or more"):
        BoardStatus.from_json(STATUS.to_json().replace("4711", "-1"))
