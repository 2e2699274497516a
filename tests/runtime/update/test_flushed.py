"""What an update relies on is on the disk before the next step: a power cut takes what was not flushed."""

import os
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError

from edgevit.runtime.service.place import write_unit
from edgevit.runtime.service.secrets import Credential, write_secrets
from edgevit.runtime.update.board import Board, Trial
from edgevit.runtime.update.enrollment import write_enrollment
from edgevit.runtime.update.fetch import Bounds, SiteFetcher
from edgevit.runtime.update.floor import Floor, write_floor
from edgevit.runtime.update.slots import Slots
from edgevit.runtime.update.state import Release, UpdateState, write_state
from tests.flushes import note_flushes
from tests.made_update_board import MadeBoard, make_board

OLD, NEW = Release(4, "a" * 64), Release(5, "b" * 64)
WHOLE = ["flush part", "name {}", "flush folder"]
"""A file is flushed, then gets its name, then the name is flushed."""


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return note_flushes(monkeypatch)


@pytest.fixture
def made(tmp_path: Path) -> MadeBoard:
    made = make_board(tmp_path, "https://example.org/farm", "{}")
    (made.into / "update").mkdir()
    return made


def board_of(made: MadeBoard) -> Board:
    return Board(made.enrollment, made.service, lambda line: None, lambda step: None)


def whole(name: str) -> list[str]:
    return [each.format(name) for each in WHOLE]


def test_state_and_floor_are_flushed_with_their_names(tmp_path: Path, noted: list[str]) -> None:
    write_state(tmp_path, UpdateState("stable/farm.onnx", "stable", "current"))
    write_floor(tmp_path / "floor.json", Floor(root=1), Floor())
    assert noted == whole("state.json") + whole("floor.json")


def test_what_a_board_is_told_once_is_flushed_with_its_name(made: MadeBoard, tmp_path: Path, noted: list[str]) -> None:
    write_enrollment(tmp_path / "farm.json", made.enrollment)
    write_secrets([Credential("password", tmp_path / "password", "secret")])
    assert write_unit(tmp_path / "farm.service", "[Unit]", force=False)
    assert noted == whole("farm.json") + whole("password") + whole("farm.service")


def test_what_is_tried_and_what_was_bad_is_flushed_with_its_name(made: MadeBoard, noted: list[str]) -> None:
    board = board_of(made)
    board.write_trial(Trial(NEW, OLD, gave_results=True))
    board.remember_bad(NEW.sha256, "no results")
    board.forget_bad(NEW.sha256)
    assert noted == whole("trial.json") + whole("bad.json") * 2
    noted.clear()
    board.write_trial(None)
    assert noted == ["flush folder"]
    assert board.trial() is None


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "farm.tflite").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    return Slots(tmp_path / "farm.tflite")


def test_the_one_before_has_its_name_on_the_disk_before_the_new_one_runs(slots: Slots, noted: list[str]) -> None:
    slots.swap(slots.model.with_name("new"), keep=True)
    swapped = ["name farm.tflite", "flush folder"]
    assert noted == ["link part", "name farm.previous.tflite", "flush folder", *swapped]
    noted.clear()
    slots.swap_back()
    assert noted == swapped


def test_a_copy_of_the_one_before_is_flushed_before_it_gets_its_name(
    slots: Slots, noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    slots.swap(slots.model.with_name("new"), keep=True)
    assert noted[:3] == ["flush part", "name farm.previous.tflite", "flush folder"]


def test_what_was_fetched_is_flushed_also_where_the_transfer_broke_off(
    tmp_path: Path, noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_bytes(bytes(100_000))
    fetcher = SiteFetcher(Bounds(tries=2, pause_s=0.0))
    fetcher.resume((tmp_path / "there").as_uri(), tmp_path / "here", 100_000)
    assert noted == ["flush here"]
    assert (tmp_path / "here").read_bytes() == bytes(100_000)
    noted.clear()
    with pytest.raises(DownloadError, match="has 100000 bytes, expected 100001$"):
        fetcher.resume((tmp_path / "there").as_uri(), tmp_path / "here", 100_001)
    assert noted == ["flush here"]


def test_last_bytes_of_a_transfer_are_with_the_system_when_it_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What still waits in this process's own buffer is not reached by a flush."""
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
    (tmp_path / "there").write_bytes(bytes(100_000))
    SiteFetcher(Bounds()).resume((tmp_path / "there").as_uri(), tmp_path / "here", 100_000)
    assert sizes == [100_000]
