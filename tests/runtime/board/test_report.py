"""What a run says of its board: counts of the model that answers now, and what the machine and the updater say."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgevit.errors import ClosedError, ModelFileError
from edgevit.runtime.board import news as news_module
from edgevit.runtime.board.digest import open_known
from edgevit.runtime.board.news import StatusFile, StatusNews
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.board.status import BoardStatus, read_status
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.delivery.stored import SpoolCounts
from edgevit.runtime.loading import load
from edgevit.runtime.sources.frames import Clock
from tests.made_records import event, record
from tests.waiting import no_thread_left, wait_for


class Machine:
    """A board whose clock stands still until it is moved."""

    def __init__(self, root: Path) -> None:
        self.now_s, self.root = 100.0, root
        self.clock = Clock(lambda: 1_763_645_791.25 + self.now_s - 100, lambda: self.now_s)
        self.flags = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        self.zone = root / "sys/class/thermal/thermal_zone0/temp"
        for file in (self.flags, self.zone):
            file.parent.mkdir(parents=True)

    def report(self) -> BoardReport:
        return BoardReport(self.root / "models/farm.onnx", "aa", clock=self.clock, root=self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_counts_begin_anew_with_another_model(machine: Machine) -> None:
    report = machine.report()
    for number in range(3):
        report.write(record(number))
    report.failed()
    before = report.status()
    assert (before.sha256, before.results, before.failures) == ("aa", 3, 1)
    assert (before.since, before.time) == ("2025-11-20T13:36:31.250Z", "2025-11-20T13:36:31.250Z")
    machine.now_s += 90
    report.loaded("bb")
    report.write(record(4))
    after = report.status()
    assert (after.sha256, after.results, after.failures) == ("bb", 1, 0)
    assert (after.since, after.pid) == ("2025-11-20T13:38:01.250Z", os.getpid())


def test_events_are_no_results(machine: Machine) -> None:
    report = machine.report()
    report.write(event())
    assert report.status().results == 0


def test_rate_is_of_the_last_minute_and_of_pictures_not_of_their_regions(machine: Machine) -> None:
    report = machine.report()
    for number in range(40):
        machine.now_s += 0.5
        report.write(record(number))
        report.write(record(number))
    assert (report.status().results, report.status().frames_per_second) == (80, 2.0)
    # 55 s later those of the last 5 s are still of the last minute, 11 pictures; 6 s later none is
    machine.now_s += 55
    assert report.status().frames_per_second == round(11 / 60, 2)
    machine.now_s += 6
    assert report.status().frames_per_second == 0.0


def test_a_file_that_is_given_twice_is_two_pictures_of_the_rate(machine: Machine) -> None:
    report = machine.report()
    machine.now_s += 1
    first = record(0)
    report.write(first)
    report.write(replace(first, moment=replace(first.moment, monotonic_s=first.moment.monotonic_s + 1)))
    assert report.status().frames_per_second == 2.0


def test_machine_says_how_warm_it_is_and_what_it_lacks_now(machine: Machine) -> None:
    report = machine.report()
    assert (report.status().temperature_c, report.status().throttled) == (None, None)
    machine.zone.write_text("61500\n")
    machine.flags.write_text("50000\n")  # it was throttled, but is not now
    assert (report.status().temperature_c, report.status().throttled) == (61.5, False)
    machine.flags.write_text("50001\n")
    assert report.status().throttled is True


def test_backlog_is_the_sum_over_all_that_is_sent_to(machine: Machine) -> None:
    report = machine.report()
    assert report.status().backlog is None
    counts = [SpoolCounts(waiting=waiting, bytes=0, dropped=0, unsaved=0, refused=0) for waiting in (3, 4)]
    report.include(lambda: tuple(Backlog(f"mqtt://{index}", False, each) for index, each in enumerate(counts)))
    assert report.status().backlog == 7


def test_bytes_that_are_no_text_do_not_keep_a_status_from_being_read(machine: Machine) -> None:
    name = os.fsdecode(b"farm\xff.onnx")
    report = BoardReport(machine.root / name, "aa", clock=machine.clock, root=machine.root)
    report.reloading(f"the old model stays: {name} is damaged")
    status = BoardStatus.from_json(report.status().to_json())
    assert status.model.endswith("farm?.onnx")
    assert status.reload_error == "the old model stays: farm?.onnx is damaged"


# ------------------------------------------------------------------ when it is told


def test_news_is_told_at_once_and_the_rest_now_and_then(machine: Machine) -> None:
    state = {"state": "waiting"}
    report = BoardReport(machine.root / "farm.onnx", "aa", update=lambda: dict(state), clock=machine.clock)
    news = StatusNews(report, 60.0, lambda: machine.now_s)

    def told() -> bool:
        return news.next() is not None

    assert told()
    report.write(record(1))
    machine.now_s += 59
    assert not told()
    assert news.next(anyway=True) is not None
    machine.now_s += 59
    assert not told()
    machine.now_s += 1
    assert told()
    report.loaded("bb")
    assert [told(), told()] == [True, False]
    report.reloading("the old model stays: damaged")
    assert [told(), told()] == [True, False]
    report.reloading(None)
    assert [told(), told()] == [True, False]
    state["state"] = "testing"
    assert [told(), told()] == [True, False]


# ------------------------------------------------------------------ which bytes were opened


def test_digest_is_of_the_file_that_was_opened_though_it_is_replaced_meanwhile(
    tiny_model: Path, tmp_path: Path
) -> None:
    data = tiny_model.read_bytes()
    place = tmp_path / "farm.onnx"
    place.write_bytes(data)
    opened: list[Classifier] = []

    def open_model() -> Classifier:
        opened.append(load(place))
        if len(opened) == 1:
            (tmp_path / "newer").write_bytes(data)
            (tmp_path / "newer").replace(place)
        return opened[-1]

    model = open_known(place, open_model)
    assert len(opened) == 2
    assert (model, model.sha256) == (opened[1], hashlib.sha256(data).hexdigest())
    with pytest.raises(ClosedError):
        opened[0](np.zeros((48, 64, 3), np.uint8))
    model.close()


def test_file_that_is_replaced_again_and_again_is_given_up(tiny_model: Path) -> None:
    def open_model() -> Classifier:
        model = load(tiny_model)
        tiny_model.write_bytes(tiny_model.read_bytes())
        return model

    with pytest.raises(ModelFileError, match="was replaced 5 times while it was opened; wait until it is whole"):
        open_known(tiny_model, open_model)
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        open_known(tiny_model.with_name("none.onnx"), open_model)


# ------------------------------------------------------------------ the file


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let seconds pass in milliseconds."""
    assert (news_module.FILE_S, news_module.LOOK_S) == (10.0, 1.0)
    monkeypatch.setattr(news_module, "FILE_S", 0.05)
    monkeypatch.setattr(news_module, "LOOK_S", 0.005)


def test_file_is_written_now_and_then_though_nothing_happens(tmp_path: Path, hurried: None) -> None:
    path = tmp_path / "status.json"
    with no_thread_left():
        file = StatusFile(path, BoardReport("farm.onnx", "aa"))
        begun = read_status(path)
        wait_for(lambda: read_status(path).time > begun.time)
        file.close()


def test_folder_of_the_file_is_made_as_for_results(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "status.json"
    StatusFile(path, BoardReport("farm.onnx", "aa")).close()
    assert read_status(path).sha256 == "aa"


def test_last_status_is_written_at_the_end(tmp_path: Path) -> None:
    report = BoardReport("farm.onnx", "aa")
    file = StatusFile(tmp_path / "status.json", report)
    report.write(record(1))
    file.close()
    assert read_status(tmp_path / "status.json").results == 1


def test_folder_that_goes_away_is_one_line_in_the_log_and_no_end(
    tmp_path: Path, hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "status.json"
    report = BoardReport("farm.onnx", "aa")
    file = StatusFile(path, report)
    folder.rename(tmp_path / "gone")
    wait_for(lambda: caplog.messages)
    report.loaded("bb")
    folder.mkdir()
    wait_for(path.exists)
    file.close()
    assert read_status(path).sha256 == "bb"
    (said,) = caplog.messages
    assert f"the status {path} cannot be written: No such file or directory" in said
